// One message to the user at a time, read out by screen readers.

export class Notices {
  #box = document.getElementById('notices');
  #text = document.getElementById('notice');
  #countdown = document.getElementById('countdown');
  #timer = null;

  constructor() {
    this.#dismiss.onclick = () => this.clear();
  }

  get #dismiss() {
    return document.getElementById('dismiss');
  }

  /**
   * Shows the reason of an error; `file` is what it was about. A full server's message counts down
   * to the next attempt.
   */
  refuse(error, file = null) {
    this.#show('refused', sentence(error.message, file?.name));
    if (error.retryAfter) this.#count(error.retryAfter);
  }

  inform(text, file = null) {
    this.#show('info', sentence(text, file?.name));
  }

  clear() {
    clearInterval(this.#timer);
    this.#box.className = 'notices';
    this.#text.textContent = this.#countdown.textContent = '';
    this.#dismiss.hidden = true;
  }

  #show(kind, text) {
    this.clear();
    this.#box.className = `notices ${kind}`;
    this.#text.textContent = text;
    this.#dismiss.hidden = false;
  }

  #count(seconds) {
    // Read out once by screen readers; the running countdown is only shown.
    const spoken = document.createElement('span');
    spoken.className = 'unseen';
    spoken.textContent = ` Try again in ${seconds} seconds.`;
    this.#text.append(spoken);
    const until = performance.now() + 1000 * seconds;
    const show = () => {
      const left = Math.ceil((until - performance.now()) / 1000);
      this.#countdown.textContent = left > 0 ? `Try again in ${left} s.` : 'You can try again now.';
      if (left <= 0) clearInterval(this.#timer);
    };
    show();
    this.#timer = setInterval(show, 250);
  }
}

/** A message with a capital letter, unless it begins with `name`, which is the user's own. */
export function sentence(message, name) {
  return name && message.startsWith(name) ? message : message[0].toUpperCase() + message.slice(1);
}
