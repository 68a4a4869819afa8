// Tells when sound begins and when it ends, in seconds of the audio context.

const LOUD = 0.02; // root mean square of a quantum that counts as sound
const QUIET = 12; // quanta of silence (32 ms) after which sound has ended

class Edges extends AudioWorkletProcessor {
  #loud = false;
  #quiet = 0;
  #last = 0; // when the last loud sample was

  process([[samples]]) {
    if (currentFrame % 8192 === 0) this.port.postMessage({ kind: 'tick', now: currentTime });
    if (!samples) return true;
    const power = samples.reduce((sum, value) => sum + value * value, 0) / samples.length;
    if (Math.sqrt(power) > LOUD) {
      if (!this.#loud) {
        const first = samples.findIndex((value) => Math.abs(value) > LOUD);
        this.#tell('on', currentTime + first / sampleRate);
      }
      const last = samples.findLastIndex((value) => Math.abs(value) > LOUD);
      this.#last = currentTime + last / sampleRate;
      this.#loud = true;
      this.#quiet = 0;
    } else if (this.#loud && ++this.#quiet > QUIET) {
      this.#loud = false;
      this.#tell('off', this.#last);
    }
    return true;
  }

  #tell(kind, time) {
    this.port.postMessage({ kind, time, now: currentTime });
  }
}

registerProcessor('edges', Edges);
