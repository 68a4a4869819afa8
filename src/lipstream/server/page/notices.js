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

  /** Says why something was refused. A full server's message counts down to the next chance. */
  refuse(error) {
    this.#show('refused', error.message);
    if (error.retryAfter) this.#count(error.retryAfter);
  }

  tell(text) {
    this.#show('told', text);
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
    this.#text.textContent = text[0].toUpperCase() + text.slice(1);
    this.#dismiss.hidden = false;
  }

  #count(seconds) {
    // Said once to those who listen; the figure that runs is only to be seen.
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
