// The microphone: its track for the connection, and its level.

import { ApiError } from './api.js';

const MIN_LEVEL = -60; // dBFS, an empty meter
const MAX_LEVEL = -6; // dBFS, a full meter

/** Fires `ended` when the device goes away. */
export class Microphone extends EventTarget {
  #context = null;
  #analyser = null;
  #samples = null;
  track = null;

  /** Requests permission and returns the track, in place of an earlier one; ApiError without. */
  async open(deviceId) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new ApiError(
        0,
        'microphone',
        'Browsers give the microphone only to pages served over https or from this computer.',
      );
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: {
          deviceId: deviceId ? { exact: deviceId } : undefined,
          echoCancellation: true,
          noiseSuppression: true,
          autoGainControl: true,
        },
      });
    } catch (error) {
      throw new ApiError(0, 'microphone', sentence(error));
    }
    this.close(); // another device
    [this.track] = stream.getAudioTracks();
    this.track.onended = () => {
      this.close();
      this.dispatchEvent(new Event('ended'));
    };
    this.#context = new AudioContext();
    this.#analyser = new AnalyserNode(this.#context, { fftSize: 1024 });
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    this.#samples = new Float32Array(this.#analyser.fftSize);
    return this.track;
  }

  /** The level now, 0..1. */
  get level() {
    if (!this.#analyser) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, value) => sum + value * value, 0);
    const decibel = 10 * Math.log10(power / this.#samples.length + 1e-12);
    return Math.max(0, Math.min(1, (decibel - MIN_LEVEL) / (MAX_LEVEL - MIN_LEVEL)));
  }

  close() {
    this.track?.stop();
    this.#context?.close();
    this.track = this.#context = this.#analyser = null;
  }
}

function sentence(error) {
  if (error.name === 'NotAllowedError') {
    return 'The microphone is blocked. Allow it in the address bar of the browser and try again.';
  }
  if (error.name === 'NotFoundError') return 'No microphone was found. Connect one and try again.';
  if (error.name === 'NotReadableError') {
    return 'Another program uses the microphone. Close it there and try again.';
  }
  return `The microphone could not be opened: ${error.message}`;
}
