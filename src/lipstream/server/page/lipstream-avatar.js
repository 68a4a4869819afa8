// <lipstream-avatar>: a live talking face on any page.
//
//   <script type="module" src="https://SERVER/lipstream-avatar.js"></script>
//   <lipstream-avatar avatar="portrait"></lipstream-avatar>
//
// Attributes: `avatar` (id), `server` (address, default: where this file came from), `token`.
// Methods: start(), stop(), speak(blob | samples | stream, sampleRate), interrupt(),
// microphone(on). Properties: state, session, stream, video, level (of the microphone, 0..1).
// Events, all with a `detail`: `state` (idle, connecting, live, reconnecting), `speech` (started,
// ended, interrupted, ...), `microphone` (true while it is on), `figures` (once a second), `failed`
// ({code, message, retryAfter}: the connection could not be kept).

import { Api } from './api.js';
import { Microphone } from './microphone.js';
import { Player } from './player.js';

const STYLE = `
  :host { display: block; position: relative; overflow: hidden; aspect-ratio: 1; }
  :host([hidden]) { display: none; }
  img, video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; }
  img:not([src]) { visibility: hidden; }
  video { opacity: 0; transition: opacity 0.25s; }
  video.shown { opacity: 1; }
  button {
    position: absolute; inset: auto 0 1rem; margin: auto; width: max-content;
    padding: 0.6rem 1.1rem; border: 0; border-radius: 2rem; font: inherit; cursor: pointer;
    background: rgb(0 0 0 / 65%); color: white;
  }
  @media (prefers-reduced-motion: reduce) { video { transition: none; } }
`;
const PARTS = `
  <img part="poster" alt="">
  <video part="video" autoplay playsinline aria-label="Talking avatar"></video>
  <button part="unmute" type="button" hidden>Switch the sound on</button>
`;

export class LipstreamAvatar extends HTMLElement {
  static observedAttributes = ['avatar', 'server', 'token'];

  #player = new Player();
  #microphone = new Microphone();
  #poster;
  #unmuteButton;
  #posterKey = null;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open' });
    const sheet = new CSSStyleSheet(); // a <style> would need a content security policy to allow it
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
    shadow.innerHTML = PARTS;
    this.#poster = shadow.querySelector('img');
    this.video = shadow.querySelector('video');
    this.#unmuteButton = shadow.querySelector('button');
    this.#unmuteButton.onclick = () => this.#unmuteVideo();
    this.#player.addEventListener('state', ({ detail }) => this.#stateChanged(detail));
    for (const name of ['speech', 'figures', 'failed']) {
      this.#player.addEventListener(name, ({ detail }) => this.#emit(name, detail));
    }
    this.#microphone.addEventListener('ended', () => this.#unplugged());
  }

  connectedCallback() {
    addEventListener('pagehide', this.#leave);
    this.#showPoster();
  }

  disconnectedCallback() {
    removeEventListener('pagehide', this.#leave);
    this.stop();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#showPoster();
  }

  get api() {
    const home = new URL('.', import.meta.url);
    return new Api(this.getAttribute('server') || home, this.getAttribute('token') || '');
  }

  get state() {
    return this.#player.state;
  }

  get session() {
    return this.#player.session;
  }

  get stream() {
    return this.#player.stream;
  }

  get connection() {
    return this.#player.connection;
  }

  /** ms from the last start to its first picture, null before. */
  get firstFrame() {
    return this.#player.firstFrame;
  }

  get level() {
    return this.#microphone.level;
  }

  /** Connects and shows the avatar; call it from a click, or the browser keeps the sound off. */
  async start() {
    const began = performance.now();
    this.#player.firstFrame = null;
    this.video.requestVideoFrameCallback?.((now) => {
      this.#player.firstFrame = now - began;
    });
    await this.#player.start(this.api, this.getAttribute('avatar') ?? '');
  }

  stop() {
    this.#player.stop();
  }

  /** Speaks a sound file (Blob) or PCM: Int16Array, Float32Array, buffer or stream of s16le. */
  speak(sound, sampleRate) {
    return this.#player.speak(sound, sampleRate);
  }

  /** Closes the mouth and silences the sound at once. */
  interrupt() {
    return this.#player.interrupt();
  }

  /** Switches the microphone on or off; the avatar speaks its sound. */
  async microphone(on) {
    if (on) {
      await this.#player.send(await this.#microphone.open());
    } else if (this.#microphone.track) {
      this.#microphone.close();
      await this.#player.send(null);
    } else {
      return;
    }
    this.#emit('microphone', on);
  }

  async #unplugged() {
    await this.#player.send(null);
    this.#emit('microphone', false);
  }

  #leave = () => this.stop();

  #stateChanged(state) {
    if (state === 'live') this.#show();
    else {
      // Without a stream a video is black: the poster shows instead.
      this.video.classList.remove('shown');
      this.video.srcObject = null;
      this.#unmuteButton.hidden = true;
    }
    if (state === 'idle') this.microphone(false);
    this.setAttribute('state', state);
    this.#emit('state', state);
  }

  async #show() {
    const { video } = this;
    video.srcObject = this.#player.stream;
    video.addEventListener('playing', () => video.classList.add('shown'), { once: true });
    try {
      await video.play();
    } catch (error) {
      if (error.name !== 'NotAllowedError') return; // stopped or replaced meanwhile
      video.muted = true;
      this.#unmuteButton.hidden = false;
      await video.play();
    }
  }

  #unmuteVideo() {
    this.video.muted = false;
    this.#unmuteButton.hidden = true;
  }

  async #showPoster() {
    const avatar = this.getAttribute('avatar');
    const key = `${avatar} ${this.getAttribute('server')} ${this.getAttribute('token')}`;
    if (!avatar || key === this.#posterKey) return;
    this.#posterKey = key;
    try {
      const picture = await this.api.picture(avatar);
      if (key !== this.#posterKey) return;
      URL.revokeObjectURL(this.#poster.src);
      this.#poster.src = URL.createObjectURL(picture);
    } catch (error) {
      if (key === this.#posterKey) this.#poster.removeAttribute('src');
      console.debug('lipstream: the picture of the avatar could not be loaded:', error.message);
    }
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

customElements.define('lipstream-avatar', LipstreamAvatar);
