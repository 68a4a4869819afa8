// The picture and its tools: shape, what it does now, sound, captions, full screen.

import { recall, remember } from './preferences.js';

const at = (id) => document.getElementById(id);
const STATES = {
  idle: '',
  connecting: 'Connecting…',
  live: 'Live',
  reconnecting: 'Connection lost, trying again…',
};

/** What the avatar does, in words; people are told that the server keeps what they see and hear. */
export function stateText({ state, session }) {
  return state === 'live' && session?.recorded ? 'Live, recorded' : STATES[state];
}

export class Stage {
  #avatar;
  #box = at('stage');
  #speaking = null; // the id of the utterance that plays

  constructor(avatar) {
    this.#avatar = avatar;
    avatar.muted = recall('muted', false);
    avatar.volume = recall('volume', 1);
    avatar.toggleAttribute('captions', recall('captions', false));
    avatar.video.addEventListener('volumechange', () => this.#showSound());
    at('mute').onclick = () => this.#mute(!avatar.muted);
    at('volume').oninput = ({ target }) => this.#setVolume(target.valueAsNumber / 100);
    at('captions').onclick = () => {
      remember('captions', avatar.toggleAttribute('captions'));
      this.#showCaptions();
    };
    at('full').hidden = !document.fullscreenEnabled;
    at('full').onclick = () => this.#toggleFull();
    document.addEventListener('fullscreenchange', () => press('full', this.#full));
    this.#showSound();
    this.#showCaptions();
  }

  /** Takes the shape of an avatar, width over height; a square without one. */
  show(avatar) {
    at('no-avatar').hidden = avatar !== null;
    this.#avatar.hidden = avatar === null;
    const { width, height } = avatar ?? {};
    this.#box.style.setProperty('--ratio', width && height ? width / height : 1);
  }

  showState() {
    this.#speaking = null;
    document.body.dataset.state = this.#avatar.state;
    at('pill').textContent = at('status').textContent = stateText(this.#avatar);
  }

  /** Takes an event of the server about an utterance. */
  follow({ type, utterance }) {
    const finished = ['ended', 'interrupted', 'failed'].includes(type);
    if (type === 'started') this.#speaking = utterance;
    else if (finished && utterance === this.#speaking) this.#speaking = null;
    else return;
    at('pill').textContent = this.#speaking === null ? stateText(this.#avatar) : 'Speaking';
  }

  /** Tells screen readers a sentence. */
  announce(sentence) {
    at('status').textContent = sentence;
  }

  get #full() {
    return document.fullscreenElement === this.#box;
  }

  #mute(muted) {
    this.#avatar.muted = muted;
    remember('muted', muted);
  }

  #setVolume(volume) {
    this.#avatar.volume = volume;
    remember('volume', volume);
    if (volume > 0 && this.#avatar.muted) this.#mute(false);
  }

  #showSound() {
    const { muted, volume } = this.#avatar;
    press('mute', muted);
    at('volume').value = muted ? 0 : 100 * volume;
  }

  #showCaptions() {
    press('captions', this.#avatar.hasAttribute('captions'));
  }

  #toggleFull() {
    if (this.#full) document.exitFullscreen();
    else this.#box.requestFullscreen().catch(() => {}); // refused by the browser: it stays small
  }
}

function press(id, pressed) {
  at(id).setAttribute('aria-pressed', pressed);
}
