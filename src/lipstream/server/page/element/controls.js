// The element's own buttons, and its messages: for pages that bring none.

import { setIcon } from './shadow.js';

export class Controls {
  #element;
  #bar;
  #message;
  #toggle;
  #microphone;
  #mute;

  constructor(element, root) {
    this.#element = element;
    this.#bar = root.querySelector('.controls');
    this.#message = root.querySelector('.message');
    this.#toggle = root.querySelector('.toggle');
    this.#microphone = root.querySelector('.controls .microphone');
    this.#mute = root.querySelector('.mute');
    setIcon(this.#microphone, 'microphone');
    this.#toggle.onclick = () =>
      this.#attempt(() => (element.state === 'idle' ? element.start() : element.stop()));
    this.#microphone.onclick = () => {
      const on = this.#microphone.getAttribute('aria-pressed') === 'true';
      this.#attempt(() => element.microphone(!on));
    };
    this.#mute.onclick = () => {
      element.muted = !element.muted;
    };
    element.addEventListener('state', () => this.show());
    element.addEventListener('failed', ({ detail }) => this.report(detail));
    element.addEventListener('microphone', ({ detail }) => {
      this.#microphone.setAttribute('aria-pressed', detail);
    });
    element.video.addEventListener('volumechange', () => this.show());
    this.#microphone.setAttribute('aria-pressed', false);
    this.show();
  }

  get #wanted() {
    return this.#element.hasAttribute('controls');
  }

  /** Brings the buttons up to date with the element. */
  show() {
    const { state, muted } = this.#element;
    const idle = state === 'idle';
    this.#bar.hidden = !this.#wanted;
    setIcon(this.#toggle, idle ? 'start' : 'stop');
    this.#toggle.setAttribute('aria-label', idle ? 'Start' : 'Stop');
    this.#microphone.hidden = this.#mute.hidden = state !== 'live';
    setIcon(this.#mute, muted ? 'muted' : 'sound');
    this.#mute.setAttribute('aria-pressed', muted);
    if (state === 'connecting') this.report(null);
  }

  /** Shows an error, unless the page has controls of its own and so reports it itself. */
  report(error) {
    const shown = error !== null && error.name !== 'AbortError' && this.#wanted;
    this.#message.textContent = shown ? error.message : '';
    this.#message.hidden = !shown;
  }

  async #attempt(action) {
    this.report(null);
    try {
      await action();
    } catch (error) {
      this.report(error);
    }
  }
}
