// The line of words that is being said, as an overlay.

const LINGER_MS = 1_500; // that the last line stays after its utterance has ended

export class CaptionLine {
  #box;
  #timer = null;

  /** `box` is the element that shows the line. */
  constructor(box) {
    this.#box = box;
  }

  add({ text, opens_line: opensLine }) {
    clearTimeout(this.#timer);
    this.#timer = null;
    const before = opensLine ? '' : this.#box.textContent;
    this.#box.textContent = before ? `${before} ${text}` : text;
  }

  /** Takes an event of the server about an utterance. */
  follow({ type }) {
    if (type === 'interrupted' || type === 'failed') this.clear();
    else if (type === 'ended') this.#timer = setTimeout(() => this.clear(), LINGER_MS);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#box.textContent = '';
  }
}
