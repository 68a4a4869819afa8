// What becomes of utterances: a promise for each, settled by the event that finishes it.

import { ApiError } from './api.js';

const FINAL = ['ended', 'interrupted', 'failed'];
const KEPT = 64; // results whose utterance has not been asked for: an event may overtake the answer
const FAILED = 'This speech could not be spoken.';

/** The utterances of one session. A result is {utterance, played_ms, interrupted}. */
export class Utterances {
  #waiting = new Map(); // id -> {resolve, reject}
  #early = new Map(); // id -> its last event

  /** Takes an event of the server. */
  receive(event) {
    if (!FINAL.includes(event.type) || event.utterance === undefined) return;
    const waiting = this.#waiting.get(event.utterance);
    if (waiting) {
      this.#waiting.delete(event.utterance);
      settle(waiting, event);
      return;
    }
    this.#early.set(event.utterance, event);
    if (this.#early.size > KEPT) this.#early.delete(this.#early.keys().next().value);
  }

  /** Resolves with the result of `utterance`; rejects with an ApiError when it failed. */
  finished(utterance) {
    return new Promise((resolve, reject) => {
      const event = this.#early.get(utterance);
      this.#early.delete(utterance);
      if (event) settle({ resolve, reject }, event);
      else this.#waiting.set(utterance, { resolve, reject });
    });
  }

  /** Settles all that wait: by `interrupted` unless their events were missed and they were spoken. */
  close(interrupted = true) {
    for (const [utterance, { resolve }] of this.#waiting) {
      resolve({ utterance, played_ms: null, interrupted });
    }
    this.#waiting.clear();
  }
}

function settle({ resolve, reject }, { type, utterance, played_ms, code, message }) {
  if (type === 'failed') reject(new ApiError(0, code ?? 'failed', message ?? FAILED));
  else resolve({ utterance, played_ms, interrupted: type === 'interrupted' });
}
