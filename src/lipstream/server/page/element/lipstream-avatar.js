// <lipstream-avatar>: a live talking face on any page.
//
//   <script type="module" src="https://SERVER/lipstream-avatar.js"></script>
//   <lipstream-avatar avatar="portrait" controls></lipstream-avatar>
//
// Attributes: `avatar` (id, by default the first that is offered); `server` (address, by default
// that of this file); `token` (the server's); `session` (instead of both: the JSON that POST
// /v1/sessions answered to one's own server); `controls` (buttons and messages), `autostart`,
// `captions`, `muted`, `volume` (0..1), `fit` (contain or cover), `motion` (still, calm, lively).
//
// Methods, all of which return promises: start(); say(text, {voice}) and speak(blob | samples |
// stream, sampleRate), which resolve with {utterance, played_ms, interrupted} when it was spoken;
// interrupt(); microphone(on). And stop().
//
// start() while it is live changes to another `avatar`; where that is refused, the old one goes on.
//
// Properties: state, session, token (kept out of the page's markup), stream, video, muted, volume,
// level (of the microphone, 0..1).
//
// Events, all with a `detail`: `state` (idle, connecting, live, reconnecting); `speech` ({type,
// utterance, played_ms}: queued, started, ended, interrupted, ...); `caption` ({text, utterance,
// at_ms, until_ms, opens_line}, when it is heard); `microphone` (true while it is on); `figures`
// (once a second); `failed` ({code, message, retryAfter}: the connection could not be kept).

import { Api, ApiError } from './api.js';
import { CaptionLine } from './captions.js';
import { Controls } from './controls.js';
import { Microphone } from './microphone.js';
import { Player } from './player.js';
import { Poster } from './poster.js';
import { furnish } from './shadow.js';

const NO_SERVER = 'Set the attribute `server` to the address of a lipstream server.';
const BAD_SESSION =
  'The attribute `session` must be the JSON that the server answered to POST /v1/sessions.';

export class LipstreamAvatar extends HTMLElement {
  static observedAttributes = [
    'avatar',
    'server',
    'token',
    'session',
    'controls',
    'captions',
    'muted',
    'volume',
    'fit',
  ];

  /** The server where an element names none: that from which this file came. */
  static home = new URL('..', import.meta.url).href;

  #player = new Player();
  #microphone = new Microphone();
  #given = null; // a session set as a property
  #token = ''; // set as a property
  #rules; // of this one element
  #poster;
  #unmuteButton;
  #captionBox;
  #captions;
  #controls;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    this.#rules = furnish(root);
    this.video = root.querySelector('video');
    this.#unmuteButton = root.querySelector('.unmute');
    this.#captionBox = root.querySelector('.captions');
    this.#captions = new CaptionLine(this.#captionBox);
    this.#controls = new Controls(this, root);
    this.#unmuteButton.onclick = () => {
      this.muted = false;
    };
    this.video.addEventListener('volumechange', () => {
      if (!this.muted) this.#unmuteButton.hidden = true;
    });
    this.#poster = new Poster(root.querySelector('img'), (width, height, face) => {
      if (!this.#player.session) this.#setShape(width, height, face);
    });
    this.#player.addEventListener('state', ({ detail }) => this.#stateChanged(detail));
    this.#player.addEventListener('speech', ({ detail }) => this.#captions.follow(detail));
    this.#player.addEventListener('caption', ({ detail }) => this.#captions.add(detail));
    for (const name of ['speech', 'caption', 'figures', 'failed']) {
      this.#player.addEventListener(name, ({ detail }) => this.#emit(name, detail));
    }
    this.#microphone.addEventListener('ended', () => this.#unplugged());
    this.#setShape(1, 1);
  }

  connectedCallback() {
    addEventListener('pagehide', this.#leave);
    this.#showPoster();
    if (this.hasAttribute('autostart')) {
      this.start().catch((error) => {
        if (error.name !== 'AbortError') this.#emit('failed', error);
      });
    }
  }

  disconnectedCallback() {
    removeEventListener('pagehide', this.#leave);
    this.stop();
  }

  attributeChangedCallback(name, before, value) {
    if (name === 'muted') this.muted = value !== null;
    else if (name === 'volume') this.volume = value === null ? 1 : Number(value);
    else if (name === 'captions') this.#captionBox.hidden = value === null;
    else if (name === 'controls') this.#controls.show();
    else if (this.isConnected) this.#showPoster();
  }

  get api() {
    const token = this.#offered?.token ?? this.token;
    const server = this.getAttribute('server') || LipstreamAvatar.home;
    if (!server) throw new ApiError(0, 'no_server', NO_SERVER);
    return new Api(server, token);
  }

  /** The server's token: what was set here, else the attribute. */
  get token() {
    return this.#token || (this.getAttribute('token') ?? '');
  }

  set token(token) {
    this.#token = token;
    if (this.isConnected) this.#showPoster();
  }

  get state() {
    return this.#player.state;
  }

  /** The session that runs, else the one that was given. */
  get session() {
    return this.#player.session ?? this.#offered;
  }

  /** Gives the session that one's own server has opened: its answer, or null. */
  set session(session) {
    // React 19 and others set properties to what they would write as attributes.
    const isText = typeof session === 'string';
    this.#given = isText ? null : session;
    if (isText) this.setAttribute('session', session);
    else this.removeAttribute('session');
    if (this.isConnected) this.#showPoster();
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

  get muted() {
    return this.video.muted;
  }

  set muted(muted) {
    this.video.muted = muted;
  }

  /** 0..1 */
  get volume() {
    return this.video.volume;
  }

  set volume(volume) {
    this.video.volume = Math.max(0, Math.min(1, Number.isFinite(volume) ? volume : 1));
  }

  /** Connects and shows the avatar; call it from a click, or the browser keeps the sound off. */
  async start() {
    const began = performance.now();
    this.#player.firstFrame = null;
    this.video.requestVideoFrameCallback?.((now) => {
      this.#player.firstFrame = now - began;
    });
    const given = { session: this.#offered, motion: this.getAttribute('motion') ?? undefined };
    await this.#player.start(this.api, this.#named ?? (await this.#first()), given);
  }

  stop() {
    this.#player.stop();
  }

  /** Says a text; the voice is the server's own unless it is named. */
  say(text, { voice } = {}) {
    return this.#player.say(text, voice);
  }

  /** Speaks a sound file (Blob) or PCM: Int16Array, Float32Array, buffer or stream of s16le. */
  speak(sound, sampleRate) {
    return this.#player.speak(sound, sampleRate);
  }

  /** Closes the mouth and silences the sound at once. */
  interrupt() {
    return this.#player.interrupt();
  }

  /**
   * Switches the microphone on or off. The avatar speaks its sound, unless a program listens at the
   * session's microphone_url. `deviceId`: which one.
   */
  async microphone(on, { deviceId } = {}) {
    if (on) {
      const idle = this.state === 'idle';
      const track = await this.#microphone.open(deviceId);
      if (this.state === 'idle' && !idle) {
        this.#microphone.close();
        throw new DOMException('stopped before the microphone was allowed', 'AbortError');
      }
      await this.#player.send(track);
    } else if (this.#microphone.track) {
      this.#microphone.close();
      await this.#player.send(null);
    } else {
      return;
    }
    this.#emit('microphone', on);
  }

  /** The session that was given by property or attribute, else null. */
  get #offered() {
    if (this.#given) return this.#given;
    const text = this.getAttribute('session');
    if (!text) return null;
    try {
      return JSON.parse(text);
    } catch {
      throw new ApiError(0, 'bad_session', BAD_SESSION);
    }
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
    if (state === 'idle' || state === 'connecting') this.#captions.clear();
    if (state === 'idle') this.microphone(false);
    this.setAttribute('state', state);
    this.#emit('state', state);
  }

  async #show() {
    const { video } = this;
    const { width, height, face } = this.session;
    this.#setShape(width, height, face);
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

  /** Takes the picture's own shape, unless the page's style says another. */
  #setShape(width, height, face) {
    const place = face ? `${100 * face[0]}% ${100 * face[1]}%` : '50% 50%';
    this.#rules.replaceSync(
      `:host { aspect-ratio: ${width} / ${height}; }
       :host([fit="cover"]) :is(img, video) { object-position: ${place}; }`,
    );
  }

  /** The id of the avatar of the session or the attribute; null where none is named. */
  get #named() {
    return this.#offered?.avatar ?? this.getAttribute('avatar');
  }

  /** The first avatar that the server offers; "" where it tells of none. */
  async #first() {
    const offered = await this.api.avatars().catch(() => []); // what follows meets the same error
    return this.#named ?? offered.find(({ status }) => status === 'ready')?.id ?? '';
  }

  async #showPoster() {
    try {
      const id = this.#named ?? (await this.#first());
      const cut = this.getAttribute('fit') === 'cover';
      const face = this.#offered ? (this.#offered.face ?? null) : undefined;
      if (id) await this.#poster.show(this.api, id, { cut, face });
    } catch (error) {
      this.#controls.report(error);
      console.debug('lipstream: the picture of the avatar could not be loaded:', error.message);
    }
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

customElements.define('lipstream-avatar', LipstreamAvatar);
