// PCM to the server by WebSocket, and the events that the server reports about it.

const SLICE = 24_000; // bytes in a message: half a second at 24 kHz
const GOING_AWAY = 1001; // the close code of a session that has ended
const MAX_BUFFERED = 512 * 1024; // bytes in the browser; the server reads no faster than it needs

/**
 * The socket of one session. Fires `message` events whose `detail` is an event of the server:
 * queued, started, ended, interrupted, failed, buffered, error; and `over` when the session ended.
 */
export class SpeechSocket extends EventTarget {
  #socket;
  #ready;
  #turn = Promise.resolve(); // settles when all utterances before are sent
  #interrupts = 0; // what was to be sent before the last one is not sent any more
  #speech = null; // the one that is being sent
  #unopened = []; // those whose ids the server has yet to report

  constructor(api, url, rate) {
    super();
    const target = new URL(api.url(url));
    target.protocol = target.protocol.replace('http', 'ws');
    if (rate !== null) target.searchParams.set('sample_rate', rate);
    this.rate = rate;
    // Browsers cannot set headers on a WebSocket.
    this.#socket = new WebSocket(target, api.token ? [`bearer.${api.token}`] : []);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#ready = new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onclose = ({ code }) => {
        for (const speech of this.#unopened.splice(0)) speech.name(null);
        reject(new Error('The connection for speech is closed. Try again.'));
        if (code === GOING_AWAY) this.dispatchEvent(new Event('over'));
      };
    });
    this.#ready.catch(() => {}); // reported by speak
  }

  get open() {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get usable() {
    return this.#socket.readyState <= WebSocket.OPEN;
  }

  /**
   * Sends one utterance, an array of samples or a stream of s16le bytes, after those before it.
   * Resolves when it is sent, or when it is interrupted: then the rest is not sent. `opened` of the
   * value is a promise of the utterance's id, null when the server took none.
   */
  speak(sound) {
    const interrupts = this.#interrupts;
    const sending = this.#turn.then(() => this.#speak(sound, interrupts));
    this.#turn = sending.catch(() => {}); // reported to the caller
    return sending;
  }

  /** Sends no more of what is being sent; to be called with an interrupt of the session. */
  stop() {
    this.#interrupts += 1;
  }

  close() {
    this.#socket.close();
  }

  #receive(event) {
    if (event.type === 'queued') this.#unopened.shift()?.name(event.utterance);
    const own = this.#speech !== null && event.utterance === this.#speech.id;
    if (own && event.type === 'failed') this.#speech.failed = true;
    if (own && event.type === 'interrupted' && this.#goesOn(this.#speech)) this.stop();
    this.dispatchEvent(new CustomEvent('message', { detail: event }));
  }

  async #speak(sound, interrupts) {
    await this.#ready;
    const speech = { id: null, interrupts, sent: false, failed: false };
    const opened = new Promise((resolve) => {
      speech.name = (id) => resolve((speech.id = id));
    });
    this.#speech = speech;
    try {
      if (sound instanceof ReadableStream) {
        for await (const bytes of pieces(sound)) {
          if (!this.#goesOn(speech)) break;
          await this.#send(bytes, speech);
        }
      } else {
        await this.#send(pcmBytes(sound), speech);
      }
    } finally {
      // Also when a stream fails: an utterance that is never ended holds up all behind it.
      if (this.open) this.#socket.send(JSON.stringify({ type: 'end' }));
      this.#speech = null;
    }
    if (!speech.sent) speech.name(null);
    return { opened };
  }

  #goesOn(speech) {
    return !speech.failed && speech.interrupts === this.#interrupts;
  }

  async #send(bytes, speech) {
    for (let start = 0; start < bytes.length; start += SLICE) {
      // A socket that was closed keeps its `bufferedAmount`.
      while (this.open && this.#goesOn(speech) && this.#socket.bufferedAmount > MAX_BUFFERED) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      if (!this.#goesOn(speech)) return;
      if (!this.open) throw new Error('The connection for speech was closed. Try again.');
      this.#socket.send(bytes.subarray(start, start + SLICE));
      if (!speech.sent) this.#unopened.push(speech);
      speech.sent = true;
    }
  }
}

/** Samples (Int16Array, Float32Array in -1..1, or a buffer of s16le) as bytes of s16le. */
export function pcmBytes(sound) {
  if (sound instanceof Float32Array) {
    const view = new DataView(new ArrayBuffer(sound.length * 2));
    sound.forEach((value, index) =>
      view.setInt16(index * 2, Math.round(Math.max(-1, Math.min(1, value)) * 32767), true),
    );
    return new Uint8Array(view.buffer);
  }
  if (ArrayBuffer.isView(sound)) {
    return new Uint8Array(sound.buffer, sound.byteOffset, sound.byteLength);
  }
  if (sound instanceof ArrayBuffer) return new Uint8Array(sound);
  throw new TypeError('speak() takes a Blob, samples as Int16Array or Float32Array, or a stream.');
}

// Streams cannot be iterated in every browser yet.
async function* pieces(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel();
  }
}
