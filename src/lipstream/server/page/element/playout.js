// Events on the viewer's clock: the server reports when it gives sound out, and it is heard later.

const INITIAL_MS = 60; // until the statistics are known: the way and the wait on a calm line
const MAX_MS = 1_000;

/** Calls back when the sound that is given out now is heard. */
export class Playout {
  #delay = INITIAL_MS;
  #timers = new Set();

  /** Takes a reading of the FigureMeter: what sound waits on its way, ms. */
  follow({ rtt_ms: trip, jitter_audio_ms: waited, playout_ms: played }) {
    if (trip === null || waited === null) return;
    this.#delay = Math.min(trip / 2 + waited + (played ?? 0), MAX_MS); // null: not every browser says
  }

  then(action) {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      action();
    }, this.#delay);
    this.#timers.add(timer);
  }

  /** Drops what has not been called. */
  clear() {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}
