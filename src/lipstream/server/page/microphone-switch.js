// The button of the microphone with its level, and the choice of the device.

import { recall, remember } from './preferences.js';

const at = (id) => document.getElementById(id);

export class MicrophoneSwitch {
  #avatar;
  #button = at('microphone');
  #select = at('device');
  #turn = Promise.resolve(); // what was asked for is done in its order

  /** `attempt(action)` runs an asynchronous action and shows why it failed. */
  constructor(avatar, { attempt, start }) {
    this.#avatar = avatar;
    const inTurn = (action) => {
      this.#turn = this.#turn.then(() => attempt(action));
    };
    this.#button.onclick = () =>
      inTurn(async () => {
        if (this.#on) {
          await avatar.microphone(false);
          return;
        }
        await start();
        await this.#open();
      });
    this.#select.onchange = () => {
      remember('device', this.#select.value);
      inTurn(() => this.#on && this.#open());
    };
    avatar.addEventListener('microphone', ({ detail }) => this.#show(detail));
    navigator.mediaDevices?.addEventListener('devicechange', () => {
      if (this.#on) this.#list();
    });
  }

  get #on() {
    return this.#button.getAttribute('aria-pressed') === 'true';
  }

  async #open() {
    await this.#list(); // known already where permission was given before
    await this.#avatar.microphone(true, { deviceId: this.#select.value || undefined });
    await this.#list();
  }

  /** Lists the devices: browsers name them once there is permission. */
  async #list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
    const inputs = devices.filter(({ kind, deviceId }) => kind === 'audioinput' && deviceId);
    const chosen = this.#select.value || recall('device');
    this.#select.replaceChildren(
      ...inputs.map(({ label, deviceId }) => new Option(label || 'Microphone', deviceId)),
    );
    if (inputs.some(({ deviceId }) => deviceId === chosen)) this.#select.value = chosen;
    at('devices').hidden = inputs.length < 2;
  }

  #show(on) {
    this.#button.setAttribute('aria-pressed', on);
    if (!on) return;
    const show = () => {
      at('level').firstElementChild.style.transform = `scaleX(${this.#avatar.level})`;
      if (this.#on) requestAnimationFrame(show);
    };
    requestAnimationFrame(show);
  }
}
