// The list of avatars: their cards, running uploads, and the chosen one.

import { showReport } from './report.js';

const POLL_MS = 700; // between requests for the state of an avatar that is being prepared
const ACCEPT = 'image/*,video/*,.heic,.heif,.avif';
const OWN = `lipstream-avatars:${new URL('.', import.meta.url).pathname}`; // key in the storage
const MAX_OWN = 64; // uploads of this browser that are remembered; the oldest is forgotten first
const CONFIRM_MS = 4_000; // within which a second press removes an avatar

/** Fires `choose` (detail: id or null) and `refused` (detail: an Error). */
export class AvatarList extends EventTarget {
  #api;
  #cards = document.getElementById('cards');
  #report = document.getElementById('report');
  #avatars = new Map(); // id -> its state on the server
  #pictures = new Map(); // id -> URL of its poster
  #adder;
  chosen = null;

  constructor(api) {
    super();
    this.#api = api;
    this.#adder = this.#makeAdder();
  }

  /** Shows all avatars; rejects with an ApiError when the server refuses. */
  async load() {
    const listed = await this.#api.avatars();
    const avatars = [...listed, ...(await this.#own(listed))];
    this.#cards.replaceChildren(this.#adder);
    this.#avatars.clear();
    for (const avatar of avatars) this.#put(avatar);
    const ready = avatars.find((avatar) => avatar.status === 'ready');
    this.choose(ready?.id ?? null);
    for (const { id, status } of avatars) if (status === 'preparing') this.#follow(id);
  }

  /** The uploads of this browser that the server does not list: it tells them by their id alone. */
  async #own(listed) {
    const found = [];
    for (const id of own()) {
      if (listed.some((avatar) => avatar.id === id)) continue;
      try {
        found.push(await this.#api.avatar(id));
      } catch (error) {
        if (error.status !== 404) throw error;
        disown(id);
      }
    }
    return found;
  }

  choose(id) {
    this.chosen = id;
    const input = id && this.#card(id)?.querySelector('input');
    if (input) input.checked = true;
    showReport(this.#report, this.#avatars.get(id));
    this.dispatchEvent(new CustomEvent('choose', { detail: id }));
  }

  /** Uploads a picture or clip and chooses it once it is ready. */
  async add(file) {
    const name = file.name.replace(/\.[^.]*$/, '') || 'avatar';
    const card = this.#makeWaiting(name, 'Sending');
    this.#adder.before(card);
    card.scrollIntoView({ block: 'nearest' });
    try {
      const avatar = await this.#api.uploadAvatar(file, name, (share) => progress(card, share));
      card.remove();
      keepOwn([...own(), avatar.id]);
      this.#put({ name, progress: 0, ...avatar });
      await this.#follow(avatar.id);
      if (this.#avatars.get(avatar.id)?.status === 'ready') this.choose(avatar.id);
    } catch (error) {
      card.remove();
      this.#refuse(error);
    }
  }

  /** Polls until the avatar is prepared or has failed. */
  async #follow(id) {
    while (this.#avatars.get(id)?.status === 'preparing') {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      try {
        this.#put(await this.#api.avatar(id));
      } catch (error) {
        this.#drop(id);
        if (error.status === 404) disown(id);
        this.#refuse(error);
      }
    }
  }

  /** Adds an avatar's card or brings it up to date. */
  #put(avatar) {
    const before = this.#avatars.get(avatar.id);
    this.#avatars.set(avatar.id, avatar);
    const old = this.#card(avatar.id);
    if (old && before.status === avatar.status && avatar.status === 'preparing') {
      progress(old, avatar.progress);
      return;
    }
    const card = this.#make(avatar);
    if (old) old.replaceWith(card);
    else this.#adder.before(card);
  }

  #make(avatar) {
    let card;
    if (avatar.status === 'ready') card = this.#makeReady(avatar);
    else if (avatar.status === 'failed') card = this.#makeFailed(avatar);
    else {
      card = this.#makeWaiting(avatar.name, 'Preparing');
      progress(card, avatar.progress);
    }
    card.dataset.id = avatar.id;
    return card;
  }

  #makeReady({ id, name }) {
    const card = make('li', 'card');
    const label = make('label');
    const input = make('input');
    input.type = 'radio';
    input.name = 'avatar';
    input.value = id;
    input.onchange = () => this.choose(id);
    const picture = make('img');
    picture.alt = '';
    this.#poster(id, picture);
    label.append(input, picture, make('span', 'name', name));
    card.append(label);
    // Those given on the command line are called by their id, and stay.
    if (id !== name) card.append(this.#makeRemover(id, name));
    return card;
  }

  #makeWaiting(name, what) {
    const card = make('li', 'card waiting');
    const bar = make('progress');
    bar.max = 1;
    bar.setAttribute('aria-label', `${what} ${name}`);
    card.append(make('div', 'blank'), make('span', 'what', what), bar, make('span', 'name', name));
    return card;
  }

  #makeFailed({ id, name, reason }) {
    const card = make('li', 'card failed');
    const close = make('button', 'plain', 'Remove');
    close.type = 'button';
    close.onclick = () => this.#remove(id);
    const message = make('p', 'reason', capital(reason || 'this file could not be used.'));
    message.setAttribute('role', 'alert');
    card.append(make('span', 'name', name), message, close);
    return card;
  }

  #makeRemover(id, name) {
    const button = make('button', 'remove', '×');
    button.type = 'button';
    button.setAttribute('aria-label', `Remove ${name}`);
    button.title = 'Remove';
    button.onclick = () => {
      if (button.classList.contains('confirm')) {
        this.#remove(id);
        return;
      }
      button.classList.add('confirm');
      button.textContent = 'Remove?';
      setTimeout(() => {
        button.classList.remove('confirm');
        button.textContent = '×';
      }, CONFIRM_MS);
    };
    return button;
  }

  #makeAdder() {
    const place = make('li', 'card adder');
    const button = make('button', '', '');
    button.type = 'button';
    const input = make('input');
    input.type = 'file';
    input.accept = ACCEPT;
    input.hidden = true;
    input.id = 'avatar-file';
    button.append(make('span', 'plus', '+'), make('span', 'name', 'Picture or clip'));
    button.onclick = () => input.click();
    input.onchange = () => {
      if (input.files.length) this.add(input.files[0]);
      input.value = '';
    };
    place.append(button, input);
    return place;
  }

  async #remove(id) {
    try {
      await this.#api.removeAvatar(id);
    } catch (error) {
      if (error.status !== 404) {
        this.#refuse(error);
        return;
      }
    }
    this.#drop(id);
    disown(id);
  }

  #drop(id) {
    this.#card(id)?.remove();
    this.#avatars.delete(id);
    URL.revokeObjectURL(this.#pictures.get(id));
    this.#pictures.delete(id);
    if (this.chosen === id) {
      const next = [...this.#avatars.values()].find((avatar) => avatar.status === 'ready');
      this.choose(next?.id ?? null);
    }
  }

  async #poster(id, picture) {
    try {
      if (!this.#pictures.has(id)) {
        this.#pictures.set(id, URL.createObjectURL(await this.#api.picture(id)));
      }
      picture.src = this.#pictures.get(id);
    } catch (error) {
      console.debug('lipstream: the picture of an avatar could not be loaded:', error.message);
    }
  }

  #card(id) {
    return this.#cards.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  #refuse(error) {
    this.dispatchEvent(new CustomEvent('refused', { detail: error }));
  }
}

/** The ids of what this browser has uploaded. Storage may be forbidden: then until it is left. */
let remembered = [];

function own() {
  try {
    return JSON.parse(localStorage.getItem(OWN) ?? '[]').map(String);
  } catch {
    return remembered;
  }
}

function keepOwn(ids) {
  remembered = ids.slice(-MAX_OWN);
  try {
    localStorage.setItem(OWN, JSON.stringify(remembered));
  } catch {
    // forbidden or full: `remembered` has them
  }
}

function disown(id) {
  keepOwn(own().filter((kept) => kept !== id));
}

function progress(card, share) {
  const bar = card.querySelector('progress');
  if (share === null || share === undefined) bar.removeAttribute('value');
  else bar.value = share;
}

function capital(sentence) {
  return sentence[0].toUpperCase() + sentence.slice(1);
}

function make(name, className = '', text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
