// The page: connects the list of avatars, the player, the buttons and the notices.

import './lipstream-avatar.js';
import { Api } from './element/api.js';
import { AvatarList } from './avatars.js';
import { catchDrops } from './drops.js';
import { Notices } from './notices.js';

const TOKEN = 'lipstream-token'; // key in this tab's storage
const at = (id) => document.getElementById(id);

const avatar = at('avatar');
const notices = new Notices();
const api = new Api(new URL('.', import.meta.url), sessionStorage.getItem(TOKEN) ?? '');
const avatars = new AvatarList(api);

let speaking = null; // the id of the utterance that plays

const STATES = {
  idle: '',
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Connection lost, trying again…',
};

async function open() {
  try {
    const config = await api.config();
    at('server').textContent = config.backend;
    at('server').title = `lipstream ${config.version}: ${config.backend}, because ${config.reason}.`;
    if (config.auth && !api.token) {
      askToken();
      return;
    }
    await avatars.load();
    showTokenForm(false);
  } catch (error) {
    refuse(error);
  }
}

function showTokenForm(shown) {
  for (const id of ['talk', 'avatars']) at(id).hidden = shown;
  at('token-form').hidden = !shown;
}

function askToken(refused = '') {
  avatar.stop();
  showTokenForm(true);
  at('token-refused').textContent = refused;
  at('token').focus();
}

function refuse(error) {
  if (error.name === 'AbortError') return; // stopped by the user
  if (error.status === 401) {
    askToken(api.token ? 'This token was not accepted. Type it again.' : '');
    sessionStorage.removeItem(TOKEN);
    api.token = '';
  } else {
    notices.refuse(error);
  }
}

/** Does what a button asks for and shows the reason when it is refused. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    refuse(error);
  }
}

function start() {
  notices.clear();
  return attempt(() => avatar.start());
}

async function speak(file) {
  if (avatar.state !== 'live') {
    notices.inform('Press start first, then drop the sound again.');
    return;
  }
  await attempt(async () => {
    notices.inform(`Sending ${file.name}…`);
    await avatar.speak(file);
  });
}

function showState() {
  const { state } = avatar;
  speaking = null;
  const live = state === 'live';
  document.body.dataset.state = state;
  at('pill').textContent = at('status').textContent = STATES[state];
  at('toggle').textContent = state === 'idle' ? 'Start' : 'Stop';
  at('toggle').disabled = state === 'idle' && !avatars.chosen;
  for (const id of ['microphone', 'sound', 'interrupt']) at(id).disabled = !live;
  at('session').hidden = !live;
  at('session-id').textContent = avatar.session?.id ?? '';
  if (!live) for (const id of ['fps', 'offset', 'latency', 'dropped']) figure(id, null);
}

function figure(id, value, unit = '') {
  const known = value !== null && Number.isFinite(value);
  const sign = Math.round(value) < 0 ? '−' : '';
  at(`figure-${id}`).textContent = known ? `${sign}${Math.abs(Math.round(value))}${unit}` : '–';
}

function showFigures({ fps, av_offset_ms: offset, latency_ms: latency, dropped }) {
  figure('fps', fps);
  figure('offset', offset, ' ms');
  if (offset > 0) at('figure-offset').prepend('+');
  figure('latency', latency, ' ms');
  figure('dropped', dropped);
}

function showSpeech({ type, utterance, message, warning }) {
  if (type === 'queued') notices.clear();
  if (warning) notices.inform(warning);
  if (type === 'started') speaking = utterance;
  const finished = ['ended', 'interrupted', 'failed'].includes(type);
  if (finished && utterance === speaking) speaking = null;
  if (type === 'started' || finished) {
    at('pill').textContent = speaking === null ? STATES[avatar.state] : 'Speaking';
  }
  if (type === 'failed') notices.refuse(new Error('This speech could not be spoken.'));
  if (type === 'error') notices.refuse(new Error(message));
}

function showMicrophone(on) {
  at('microphone').setAttribute('aria-pressed', on);
  const show = () => {
    at('level').firstElementChild.style.transform = `scaleX(${avatar.level})`;
    if (at('microphone').getAttribute('aria-pressed') === 'true') requestAnimationFrame(show);
  };
  if (on) requestAnimationFrame(show);
}

function choose(id) {
  at('no-avatar').hidden = id !== null;
  avatar.toggleAttribute('hidden', id === null);
  if (api.token) avatar.setAttribute('token', api.token);
  if (id === null) avatar.stop();
  else avatar.setAttribute('avatar', id);
  if (id !== null && avatar.state !== 'idle') start();
  showState();
}

avatars.addEventListener('choose', ({ detail }) => choose(detail));
avatars.addEventListener('refused', ({ detail }) => refuse(detail));
avatar.addEventListener('state', showState);
avatar.addEventListener('figures', ({ detail }) => showFigures(detail));
avatar.addEventListener('speech', ({ detail }) => showSpeech(detail));
avatar.addEventListener('microphone', ({ detail }) => showMicrophone(detail));
avatar.addEventListener('failed', ({ detail }) => refuse(detail));

at('toggle').onclick = () => (avatar.state === 'idle' ? start() : avatar.stop());
at('interrupt').onclick = () => attempt(() => avatar.interrupt());
at('copy').onclick = async () => {
  getSelection().selectAllChildren(at('session-id'));
  // Pages that do not come over https have no clipboard; there it stays selected.
  await navigator.clipboard?.writeText(avatar.session.id);
};
at('sound').onclick = () => at('sound-file').click();
at('sound-file').onchange = ({ target }) => {
  if (target.files.length) speak(target.files[0]);
  target.value = '';
};
at('microphone').onclick = () => {
  const on = at('microphone').getAttribute('aria-pressed') === 'true';
  attempt(() => avatar.microphone(!on));
};
at('token-form').onsubmit = (event) => {
  event.preventDefault();
  api.token = at('token').value.trim();
  sessionStorage.setItem(TOKEN, api.token);
  at('token').value = '';
  open();
};
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && avatar.state === 'live') at('interrupt').click();
});
catchDrops(at('drop'), {
  face: (file) => avatars.add(file),
  sound: speak,
  other: (file) => notices.inform(`${file.name} is neither a picture, a clip nor a sound.`),
});

showState();
open();
