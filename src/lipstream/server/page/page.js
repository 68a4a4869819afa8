// The page: connects the list of avatars, the picture, the text box, the buttons and the notices.

import './lipstream-avatar.js';
import { AvatarList } from './avatars/list.js';
import { Composer } from './composer.js';
import { catchDrops } from './drops.js';
import { Api } from './element/api.js';
import { showFigures } from './live-figures.js';
import { MicrophoneSwitch } from './microphone-switch.js';
import { Notices } from './notices.js';
import { Recorder } from './recorder.js';
import { Stage } from './stage.js';
import { TokenForm } from './token-form.js';

const HOME = new URL('.', import.meta.url);
const SAMPLE = 'Hello! I say whatever you type. Choose another picture, or bring one of your own.';
const SAMPLE_FILE = 'sample.ogg'; // spoken where the server has no voice
const SPOKEN = ['failed', 'synthesis_failed']; // codes of texts that were taken and then failed
const at = (id) => document.getElementById(id);

const avatar = at('avatar');
const notices = new Notices();
const stage = new Stage(avatar);
const tokenForm = new TokenForm(() => open());
const api = new Api(HOME, tokenForm.token);
const avatars = new AvatarList(api);
const recorder = new Recorder();
const composer = new Composer((text, voice) => say(text, voice));

let voiced = false; // the server can say text
let starting = null; // a promise, while the avatar connects

async function open() {
  try {
    const config = await api.config();
    at('server').textContent = config.backend;
    at('server').title = `lipstream ${config.version}: ${config.backend}, because ${config.reason}.`;
    offerVoices(config);
    api.token = avatar.token = tokenForm.token;
    if (config.auth && !api.token) {
      askToken();
      return;
    }
    await avatars.load(new URLSearchParams(location.search).get('avatar'));
    tokenForm.show(false);
  } catch (error) {
    refuse(error);
  }
}

function offerVoices(config) {
  voiced = config.say;
  at('hint-say').hidden = !voiced;
  at('hint-voiceless').hidden = voiced;
  if (voiced) composer.offer(config.voices);
}

function askToken() {
  avatar.stop();
  tokenForm.ask();
  api.token = '';
}

function refuse(error, file = null) {
  if (error.name === 'AbortError') return; // stopped by the user
  if (error.status === 401) askToken();
  else notices.refuse(error, file);
}

/** Does what a button asks for and shows the reason when it is refused. */
async function attempt(action, file = null) {
  try {
    await action();
  } catch (error) {
    refuse(error, file);
  }
}

/** Resolves when the avatar is live; starts it if need be. */
async function start() {
  if (avatar.state === 'idle') {
    notices.clear();
    starting = avatar.start();
  }
  if (avatar.state === 'connecting') await starting;
}

function say(text, voice) {
  return attempt(async () => {
    try {
      await start();
      await avatar.say(text, { voice });
    } catch (error) {
      if (!SPOKEN.includes(error.code)) composer.restore(text);
      throw error;
    }
  });
}

function speak(file) {
  return attempt(async () => {
    await start();
    notices.inform(`Sending ${file.name}…`);
    await avatar.speak(file);
  }, file);
}

function playSample() {
  if (voiced) return say(SAMPLE);
  return attempt(async () => {
    await start();
    await avatar.speak(await (await api.call('GET', SAMPLE_FILE)).blob());
  });
}

function record() {
  if (recorder.running) recorder.stop();
  else recorder.start(avatar.stream, `${avatars.find(avatars.chosen).name} (AI-generated)`);
}

function showRecording(seconds) {
  const running = seconds !== null;
  const two = (number) => String(number).padStart(2, '0');
  at('record').setAttribute('aria-pressed', running);
  at('recorded').textContent = running ? `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}` : '';
}

function showState() {
  const { state } = avatar;
  const [idle, live, ready] = [state === 'idle', state === 'live', avatars.chosen !== null];
  stage.showState();
  avatars.live = live;
  composer.enabled = ready;
  at('toggle').textContent = idle ? 'Start' : 'Stop';
  at('toggle').disabled = idle && !ready;
  for (const id of ['microphone', 'sound', 'sample']) at(id).disabled = !ready;
  at('interrupt').disabled = !live;
  at('record').disabled = !live || !Recorder.type;
  at('hint').hidden = !idle || !ready;
  at('session').hidden = !live;
  at('session-id').textContent = avatar.session?.id ?? '';
  if (!live) showFigures(null);
  if (!live) recorder.stop();
}

function showSpeech(event) {
  const { type, message, warning } = event;
  stage.follow(event);
  if (type === 'queued') notices.clear();
  if (warning) notices.inform(warning);
  if (type === 'failed') notices.refuse(new Error(message ?? 'This speech could not be spoken.'));
  if (type === 'error') notices.refuse(new Error(message));
}

/** Shows another avatar; while live the server changes the session, or keeps it as it is. */
async function choose(chosen) {
  const before = avatar.getAttribute('avatar');
  stage.show(chosen);
  if (chosen === null) {
    avatar.stop();
  } else {
    avatar.setAttribute('avatar', chosen.id);
    shareAddress(chosen.id);
    if (avatar.state !== 'idle' && chosen.id !== before) await change();
  }
  showState();
}

async function change() {
  notices.clear();
  const changing = avatar.start();
  starting = changing;
  try {
    await changing;
  } catch (error) {
    refuse(error);
    if (avatar.state !== 'live' || starting !== changing) return; // stopped, or chosen again
    const { avatar: before } = avatar.session;
    avatar.setAttribute('avatar', before);
    avatars.mark(before);
    stage.show(avatars.find(before));
    shareAddress(before);
  }
}

/** The address of the page leads to this avatar. */
function shareAddress(id) {
  const address = new URL(location.href);
  address.searchParams.set('avatar', id);
  history.replaceState(null, '', address);
}

avatars.addEventListener('choose', ({ detail }) => choose(detail));
avatars.addEventListener('adding', () => notices.clear());
avatars.addEventListener('refused', ({ detail }) => refuse(detail.error, detail.file));
avatars.addEventListener('announce', ({ detail }) => stage.announce(detail));
avatar.addEventListener('state', showState);
avatar.addEventListener('figures', ({ detail }) => showFigures(detail));
avatar.addEventListener('speech', ({ detail }) => showSpeech(detail));
avatar.addEventListener('failed', ({ detail }) => refuse(detail));
recorder.addEventListener('change', ({ detail }) => showRecording(detail));
recorder.addEventListener('full', () => notices.inform('The recording was long: it was saved.'));
new MicrophoneSwitch(avatar, { attempt, start });

at('toggle').onclick = () => (avatar.state === 'idle' ? attempt(start) : avatar.stop());
at('interrupt').onclick = () => attempt(() => avatar.interrupt());
at('sample').onclick = playSample;
at('record').onclick = record;
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
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && avatar.state === 'live') at('interrupt').click();
});
catchDrops(at('drop'), {
  face: (file) => avatars.add(file),
  sound: speak,
  other: (file) =>
    notices.inform(`${file.name} is neither a picture, a clip nor a sound.`, file),
});

showState();
open();
