// PCM to the server by WebSocket, and the events that the server reports about it.

const SLICE = 24_000; // bytes in a message: half a second at 24 kHz
const GOING_AWAY = 1001; // the close code of a session that has ended
const MAX_BUFFERED = 512 * 1024; // bytes in the browser; the server reads no faster than it needs

/**
 * The socket of one session. Fires `message` events whose `detail` is the server's message:
 * started, ended, interrupted, buffered, error; and `over` when the server has ended the session.
 */
export class SpeechSocket extends EventTarget {
  #socket;
  #ready;

  constructor(api, url, rate) {
    super();
    const target = new URL(api.url(url));
    target.protocol = target.protocol.replace('http', 'ws');
    target.searchParams.set('sample_rate', rate);
    this.rate = rate;
    // Browsers cannot set headers on a WebSocket.
    this.#socket = new WebSocket(target, api.token ? [`bearer.${api.token}`] : []);
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.onmessage = ({ data }) =>
      this.dispatchEvent(new CustomEvent('message', { detail: JSON.parse(data) }));
    this.#ready = new Promise((resolve, reject) => {
      this.#socket.onopen = resolve;
      this.#socket.onclose = ({ code }) => {
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

  /** Sends one utterance: an array of samples or a stream of s16le bytes. */
  async speak(sound) {
    await this.#ready;
    if (sound instanceof ReadableStream) {
      for await (const bytes of pieces(sound)) await this.#send(bytes);
    } else {
      await this.#send(pcmBytes(sound));
    }
    this.#control({ type: 'end' });
  }

  interrupt() {
    this.#control({ type: 'interrupt' });
  }

  close() {
    this.#socket.close();
  }

  #control(message) {
    this.#socket.send(JSON.stringify(message));
  }

  async #send(bytes) {
    for (let start = 0; start < bytes.length; start += SLICE) {
      while (this.#socket.bufferedAmount > MAX_BUFFERED) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      if (!this.open) throw new Error('The connection for speech was closed. Try again.');
      this.#socket.send(bytes.subarray(start, start + SLICE));
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
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
