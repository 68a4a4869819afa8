// Finds the beginnings and the ends of sound.

const MIN_LOUDNESS = 0.02; // root mean square of a part that counts as sound
const PART = 120; // samples
const MAX_PAUSE = 32; // ms of silence after which sound has ended
const PER_MS = 48; // samples

export class Edges {
  on = []; // ms
  off = [];
  #loud = false;
  #last = 0; // when the last loud sample was

  /** Takes samples of 48 kHz, the first of them at `time` ms. */
  take(samples, time) {
    for (let start = 0; start < samples.length; start += PART) {
      this.#look(samples.subarray(start, start + PART), time + start / PER_MS);
    }
  }

  #look(part, time) {
    const power = part.reduce((sum, value) => sum + value * value, 0) / part.length;
    if (Math.sqrt(power) > MIN_LOUDNESS) {
      const loud = (value) => Math.abs(value) > MIN_LOUDNESS;
      if (!this.#loud) this.on.push(time + part.findIndex(loud) / PER_MS);
      this.#last = time + part.findLastIndex(loud) / PER_MS;
      this.#loud = true;
    } else if (this.#loud && time - this.#last > MAX_PAUSE) {
      this.#loud = false;
      this.off.push(this.#last);
    }
  }
}
