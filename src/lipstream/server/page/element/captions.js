// The line of words that is being said, as an overlay.

const LINGER_MS = 1_500; // that the last line stays after its utterance has ended

export class CaptionLine {
  #box;
  #timer = null;
  #ended = null; // the id of the utterance that has ended: its last words may come after that

  /** `box` is the element that shows the line. */
  constructor(box) {
    this.#box = box;
  }

  add({ text, utterance, opens_line: opensLine }) {
    clearTimeout(this.#timer);
    const before = opensLine ? '' : this.#box.textContent;
    this.#box.textContent = before ? `${before} ${text}` : text;
    if (utterance === this.#ended) this.#linger();
  }

  /** Takes an event of the server about an utterance. */
  follow({ type, utterance }) {
    if (type === 'interrupted' || type === 'failed') this.clear();
    else if (type === 'ended') {
      this.#ended = utterance;
      this.#linger();
    }
  }

  clear() {
    clearTimeout(this.#timer);
    this.#ended = null; // another session counts from the start again
    this.#box.textContent = '';
  }

  #linger() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.clear(), LINGER_MS);
  }
}
