// One session from start to stop: HTTP, WebRTC and the speech socket kept together and repaired.

import { ApiError } from './api.js';
import { Playout } from './playout.js';
import { Readings } from './readings.js';
import { SpeechSocket } from './speech.js';
import { Utterances } from './utterances.js';
import { WhepConnection } from './whep.js';

const RATE = 24_000; // Hz of the speech socket until speech of another rate is sent
const RETRIES = [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000]; // ms before each try to reconnect
const LOST = 'The connection was lost. Press start to try again.';
const ENDED =
  'The session has ended: it was silent for too long, or its time was over. Press start to continue.';
const GIVEN_ENDED = 'This session has ended. Reload the page to get another.';
const STOPPED = 'Press start before there is speech.';

const NOT_SPOKEN = Object.freeze({ utterance: null, played_ms: 0, interrupted: true });

/**
 * Fires `state` (detail: idle, connecting, live, reconnecting), `speech` (the server's events about
 * utterances), `caption` when its words are heard, `figures` once a second, and `failed` (detail:
 * an ApiError) when it had to give up.
 */
export class Player extends EventTarget {
  #run = null; // an AbortController from start to stop
  #api = null;
  #given = null; // the session that the page's own server has opened, if it did
  #motion; // asked for in sessions that are opened here
  #session = null;
  #utterances = new Utterances();
  #playout = new Playout();
  #connection = null;
  #socket = null;
  #readings = null;
  #track = null; // the microphone's
  #ending = null; // resolves when the sessions before this one have left the server
  #replacing = null; // settles when the server has answered a call that replaces the session
  state = 'idle';
  stream = null; // the MediaStream to show; replaced at every connection
  firstFrame = null; // ms from start to the first picture, set by the element that shows it

  get session() {
    return this.#session;
  }

  get connection() {
    return this.#connection;
  }

  /**
   * Opens a session with an avatar, or connects to the one that is given: an answer to
   * POST /v1/sessions. Resolves when media flows. ApiError when that fails.
   *
   * While a session is live the new one takes its place on the server; when it is refused, the old
   * one goes on.
   */
  async start(api, avatar, { session = null, motion } = {}) {
    while (this.#replacing) await this.#replacing.catch(() => {});
    const replaces = this.state === 'live' && !session && !this.#given ? this.#session : null;
    const opened = replaces && (await this.#replace(api, avatar, { motion, replaces: replaces.id }));
    if (opened) this.#connection?.close(true);
    this.#end();
    const run = new AbortController();
    this.#run = run;
    this.#api = api;
    this.#given = session;
    this.#motion = motion;
    this.#become('connecting');
    const opening = this.#open(avatar, run.signal, { before: this.#ending, opened });
    this.#ending = opening.catch(() => {}); // reported below
    try {
      await opening;
    } catch (error) {
      if (this.#run === run) this.stop();
      throw error;
    }
  }

  /** Ends everything, also while the page is being left. Does nothing when nothing runs. */
  stop() {
    this.#end();
    this.#become('idle');
  }

  /**
   * Speaks a sound file (Blob), or PCM at `rate`. Resolves when it was spoken, or interrupted, with
   * {utterance, played_ms, interrupted}; ApiError when it was refused or failed.
   */
  async speak(sound, rate = RATE) {
    if (!this.#session) throw new ApiError(0, 'stopped', STOPPED);
    if (sound instanceof Blob) return this.#speakFile(sound);
    if (!this.#socket?.usable || this.#socket.rate !== rate) this.#openSocket(rate);
    const utterances = this.#utterances;
    const { opened } = await this.#socket.speak(sound);
    const utterance = await opened;
    return utterance === null ? NOT_SPOKEN : utterances.finished(utterance);
  }

  /** Says a text; resolves as `speak` does. */
  async say(text, voice) {
    if (!this.#session) throw new ApiError(0, 'stopped', STOPPED);
    const utterances = this.#utterances;
    const { utterance } = await this.#api.say(this.#session.id, text, voice);
    this.#report({ type: 'queued', utterance });
    return utterances.finished(utterance);
  }

  async interrupt() {
    if (!this.#session) return;
    this.#socket?.stop();
    // Not by the socket: there it would wait behind the speech that the server has yet to read.
    await this.#api.interrupt(this.#session.id);
  }

  /** The microphone's track, or null to switch it off; kept over reconnections. */
  async send(track) {
    this.#track = track;
    await this.#connection?.send(track);
  }

  async #speakFile(file) {
    const utterances = this.#utterances;
    try {
      const { utterance, warning } = await this.#api.speakFile(this.#session, file);
      this.#report({ type: 'queued', utterance, warning });
      return await utterances.finished(utterance);
    } catch (error) {
      if (error.code !== 'interrupted') throw error;
      return NOT_SPOKEN;
    }
  }

  /** A session that takes the place of the one that runs; that one is shown until there is an answer. */
  async #replace(api, avatar, options) {
    const { signal } = this.#run;
    this.#replacing = api.openSession(avatar, options);
    try {
      const session = await this.#replacing;
      if (signal.aborted) {
        await api.closeSession(session.id).catch(() => {});
        signal.throwIfAborted();
      }
      return session;
    } finally {
      this.#replacing = null;
    }
  }

  #end() {
    this.#run?.abort();
    this.#run = null;
    this.#disconnect();
    this.#socket?.close();
    this.#utterances.close();
    this.#utterances = new Utterances();
    this.#playout.clear();
    if (this.#session) this.#ending = Promise.all([this.#ending, this.#leave(this.#session)]);
    this.#socket = this.#session = null;
  }

  /** A session that cannot be closed is left: the server ends it by its own limits. */
  #leave(session) {
    return this.#api.closeSession(session.id).catch(() => {});
  }

  /** `opened`: a session of this player that the server has opened already. */
  async #open(avatar, signal, { before = null, opened = null } = {}) {
    let session = opened;
    if (!session) {
      await before;
      signal.throwIfAborted();
      // Not aborted on the way: a session that was opened must be closed again.
      session = this.#given ?? (await this.#api.openSession(avatar, { motion: this.#motion }));
    }
    if (signal.aborted) {
      await this.#leave(session);
      signal.throwIfAborted();
    }
    this.#session = { ...session, avatar };
    // Who opened the session may be speaking in it: a socket for speech would take its place.
    this.#openSocket(this.#given ? null : RATE);
    await this.#connect(signal);
  }

  async #connect(signal) {
    this.#disconnect();
    this.stream = new MediaStream();
    const connection = new WhepConnection(this.#api, this.#session.ice_servers ?? [], this.stream);
    this.#connection = connection;
    connection.addEventListener('lost', () => this.#reconnect(signal));
    if (this.#track) await connection.send(this.#track);
    await connection.open(this.#session.whep_url, signal);
    signal.throwIfAborted();
    this.#readings = new Readings(connection, this.#session.look_ahead_ms ?? 0, {
      take: (figures, due) => this.#take(figures, due),
      lost: () => this.#reconnect(signal),
    });
    this.#become('live');
  }

  #disconnect() {
    this.#readings?.stop();
    this.#connection?.close();
    this.#connection = this.#readings = null;
  }

  /** `rate`: of speech that is to be sent; null for events alone. */
  #openSocket(rate) {
    this.#socket?.close();
    const url = rate === null ? this.#session.events_url : this.#session.audio_url;
    const socket = new SpeechSocket(this.#api, url, rate);
    this.#socket = socket;
    socket.addEventListener('message', ({ detail }) => {
      if (socket === this.#socket) this.#receive(detail);
    });
    socket.addEventListener('over', () => {
      // The server ends a session as soon as another takes its place.
      const current = socket === this.#socket && this.state === 'live' && !this.#replacing;
      if (current) this.#giveUp(new ApiError(0, 'ended', ENDED));
    });
  }

  #receive(event) {
    if (event.type === 'caption') {
      this.#playout.then(() => this.dispatchEvent(new CustomEvent('caption', { detail: event })));
      return;
    }
    if (event.type === 'interrupted') this.#playout.clear();
    this.#utterances.receive(event);
    this.#report(event);
  }

  #report(event) {
    this.dispatchEvent(new CustomEvent('speech', { detail: event }));
  }

  /** Retries, first with the old session: speech that waits in it is kept. */
  async #reconnect(signal) {
    if (signal.aborted || this.state !== 'live' || this.#replacing) return;
    this.#disconnect();
    this.#become('reconnecting');
    let reason = new ApiError(0, 'connection_lost', LOST);
    for (const wait of RETRIES) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (signal.aborted) return;
      try {
        await this.#again(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if ([401, 403].includes(error.status)) {
          reason = error;
          break;
        }
      }
    }
    this.#giveUp(reason);
  }

  #giveUp(reason) {
    this.stop();
    this.dispatchEvent(new CustomEvent('failed', { detail: reason }));
  }

  async #again(signal) {
    try {
      await this.#connect(signal);
    } catch (error) {
      if (error.status !== 404) throw error;
      // The session is unknown: the server was restarted, or the connection was lost for too long.
      this.#disconnect();
      if (this.#given) {
        this.#giveUp(new ApiError(404, 'ended', GIVEN_ENDED));
        return;
      }
      this.#utterances.close();
      await this.#open(this.#session.avatar, signal);
      return;
    }
    if (this.#socket.usable) return;
    this.#openSocket(this.#socket.rate);
    const { speaking, buffered_ms: buffered } = await this.#api.session(this.#session.id);
    // The events of these came while there was no socket.
    if (!speaking && !buffered) this.#utterances.close(false);
  }

  /** Takes a reading of the connection; `due`: the server is to know it. */
  #take(figures, due) {
    this.#playout.follow(figures);
    // Telemetry only: when it cannot be delivered the next reading follows anyway.
    if (due) this.#api.sendStats(this.#session.id, figures).catch(() => {});
    this.dispatchEvent(new CustomEvent('figures', { detail: figures })); // may stop the session
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent('state', { detail: state }));
  }
}
