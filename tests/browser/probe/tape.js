// Hands over all samples, a tenth of a second at a time.

const PIECE = 4_800; // samples; not a multiple of a quantum, which pieces may overrun

class Tape extends AudioWorkletProcessor {
  #piece = [];
  #first = 0; // seconds

  process([[samples]]) {
    if (!samples) return true;
    if (this.#piece.length === 0) this.#first = currentTime;
    this.#piece.push(...samples);
    if (this.#piece.length >= PIECE) {
      const whole = Float32Array.from(this.#piece);
      this.#piece = [];
      this.port.postMessage({ samples: whole, first: this.#first, now: currentTime });
    }
    return true;
  }
}

registerProcessor('tape', Tape);
