// Compiled, not run: the component as an application uses it.

import { useRef } from 'react';

import type { LipstreamAvatar as Element, Session } from 'lipstream';
import { LipstreamAvatar } from 'lipstream/react';

export function Greeter({ session }: { session: Session }) {
  const avatar = useRef<Element>(null);
  return (
    <LipstreamAvatar
      ref={avatar}
      server="https://avatars.example.org"
      session={session}
      captions
      fit="cover"
      onState={(state) => state === 'live' && avatar.current?.say('Good morning.')}
      onCaption={({ text }) => console.log(text)}
    />
  );
}
