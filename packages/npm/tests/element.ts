// Compiled, not run: the types as an application uses them.

import { ApiError, LipstreamAvatar, type Session, type Spoken } from 'lipstream';

export async function greet(session: Session): Promise<Spoken> {
  const avatar = document.createElement('lipstream-avatar');
  avatar.setAttribute('server', 'https://avatars.example.org');
  avatar.session = session;
  avatar.addEventListener('caption', ({ detail }) => console.log(detail.text, detail.at_ms));
  avatar.addEventListener('failed', ({ detail }) => {
    if (detail instanceof ApiError) console.log(detail.code, detail.retryAfter ?? 0);
  });
  document.body.append(avatar);
  await avatar.start();
  await avatar.speak(new Int16Array(2400), 24_000);
  return avatar.say('Good morning.', { voice: 'heart' });
}

export function isAvatar(node: Node): node is LipstreamAvatar {
  return node instanceof LipstreamAvatar;
}

// @ts-expect-error: a state that does not exist
export const wrong: LipstreamAvatar['state'] = 'talking';
