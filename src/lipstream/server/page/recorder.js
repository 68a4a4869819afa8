// Records what is seen and heard, and gives it to the user as a file.

const TYPES = [
  'video/mp4;codecs=avc1.42E01F,mp4a.40.2',
  'video/mp4;codecs=avc1.42E01F,opus',
  'video/webm;codecs=vp8,opus',
];
const EVERY_MS = 1_000; // of what is recorded becomes one piece
const MAX_MS = 15 * 60_000; // it is kept in memory
const BITS = 3_000_000; // a second of pictures

/**
 * Fires `change` when it begins, ends, and each second between (detail: seconds, or null), and
 * `full` when it has ended by itself.
 */
export class Recorder extends EventTarget {
  #recorder = null;

  /** The type of file that this browser writes; undefined: none. */
  static get type() {
    return TYPES.find((type) => globalThis.MediaRecorder?.isTypeSupported(type));
  }

  get running() {
    return this.#recorder !== null;
  }

  /** Records `stream` until `stop`; `name` is that of the file, without its ending. */
  start(stream, name) {
    const type = Recorder.type;
    // A stream of its own: a recorder ends when a track is added to the one it records.
    const recorder = new MediaRecorder(new MediaStream(stream.getTracks()), {
      mimeType: type,
      videoBitsPerSecond: BITS,
    });
    const pieces = [];
    const began = performance.now();
    recorder.ondataavailable = ({ data }) => {
      if (data.size) pieces.push(data);
      const passed = performance.now() - began;
      if (recorder !== this.#recorder) return;
      this.#tell(Math.floor(passed / 1000));
      if (passed < MAX_MS) return;
      this.stop();
      this.dispatchEvent(new Event('full'));
    };
    recorder.onstop = () => {
      if (recorder === this.#recorder) this.#finish(); // its tracks have ended
      if (pieces.length) save(new Blob(pieces, { type }), `${name}.${type.slice(6).split(';')[0]}`);
    };
    recorder.start(EVERY_MS);
    this.#recorder = recorder;
    this.#tell(0);
  }

  /** Ends the recording and saves it. Does nothing when none runs. */
  stop() {
    const recorder = this.#recorder;
    if (!recorder) return;
    this.#finish();
    if (recorder.state !== 'inactive') recorder.stop();
  }

  #finish() {
    this.#recorder = null;
    this.#tell(null);
  }

  #tell(seconds) {
    this.dispatchEvent(new CustomEvent('change', { detail: seconds }));
  }
}

function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
