// The text box: what is typed is said.

import { recall, remember } from './preferences.js';

const MAX_HEIGHT = 160; // pixels; a longer text scrolls
const at = (id) => document.getElementById(id);

export class Composer {
  #say;
  #form = at('composer');
  #text = at('text');
  #voice = at('voice');
  #button = at('say');
  #enabled = false;

  /** `say(text, voice)` is called with each text; `voice` is undefined for the server's own. */
  constructor(say) {
    this.#say = say;
    this.#form.onsubmit = (event) => {
      event.preventDefault();
      this.#send();
    };
    this.#text.oninput = () => this.#show();
    this.#text.onkeydown = (event) => {
      // While an input method composes, Enter only accepts what it proposes.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    };
    this.#voice.onchange = () => remember('voice', this.#voice.value);
  }

  /** Takes the server's voices; shows a choice where there are several. */
  offer(voices) {
    this.#form.hidden = false;
    this.#voice.replaceChildren(...voices.map((voice) => new Option(voice)));
    this.#voice.hidden = voices.length < 2;
    if (voices.includes(recall('voice'))) this.#voice.value = recall('voice');
  }

  set enabled(enabled) {
    this.#enabled = enabled;
    this.#show();
  }

  /** Puts a text back that was refused, unless another one is being typed. */
  restore(text) {
    if (!this.#text.value) this.#text.value = text;
    this.#show();
  }

  #send() {
    const text = this.#text.value.trim();
    if (!text || !this.#enabled) return;
    this.#text.value = '';
    this.#show();
    this.#say(text, this.#voice.hidden ? undefined : this.#voice.value);
  }

  #show() {
    this.#button.disabled = !this.#enabled || !this.#text.value.trim();
    this.#text.style.height = 'auto';
    this.#text.style.height = `${Math.min(this.#text.scrollHeight, MAX_HEIGHT)}px`;
  }
}
