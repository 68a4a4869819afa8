// The list of avatars: what the server has, running uploads, and the chosen one.

import { adderCard, failedCard, readyCard, showProgress, waitingCard } from './cards.js';
import { forgetUpload, keepUpload, ownUploads } from './own-uploads.js';
import { isLeaning, showReport } from './report.js';

const POLL_MS = 700; // between requests for the state of an avatar that is being prepared
const MAX_FILES = 8; // of this visit, kept to turn them upright; the oldest is dropped first
const GONE = 'The avatar of this link is not here any more. Choose another one.';

/**
 * Fires `choose` (detail: the avatar as the server tells it, or null), `adding` when an upload
 * begins, `refused` (detail: {error, file}) and `announce` (detail: a sentence for screen readers).
 */
export class AvatarList extends EventTarget {
  #api;
  #cards = document.getElementById('cards');
  #report = document.getElementById('report');
  #avatars = new Map(); // id -> its state on the server
  #pictures = new Map(); // id -> URL of its poster
  #files = new Map(); // id -> the file that was sent
  #shared = new Set(); // ids that the server lists for everybody
  #adder;
  chosen = null;
  live = false; // arrow keys then move between the cards without choosing

  constructor(api) {
    super();
    this.#api = api;
    this.#adder = adderCard((file) => this.add(file));
    this.#cards.addEventListener('keydown', (event) => this.#walk(event));
  }

  /** Shows all and chooses `wanted`, else the first; ApiError when the server refuses. */
  async load(wanted = null) {
    const own = ownUploads();
    const listed = await this.#api.avatars();
    // What others could not use is nobody else's business.
    const shown = listed.filter(({ id, status }) => status !== 'failed' || own.includes(id));
    this.#shared = new Set(listed.map(({ id }) => id));
    const known = (id) => shown.some((avatar) => avatar.id === id);
    for (const id of own) if (!known(id)) shown.push(...(await this.#fetch(id)));
    if (wanted !== null && !known(wanted)) shown.push(...(await this.#fetch(wanted)));
    this.#cards.replaceChildren(this.#adder);
    this.#avatars.clear();
    for (const avatar of shown) this.#put(avatar);
    if (wanted !== null && !known(wanted)) this.#refuse(new Error(GONE));
    const ready = shown.filter(({ status }) => status === 'ready');
    this.choose((ready.find(({ id }) => id === wanted) ?? ready[0])?.id ?? null);
    for (const { id, status } of shown) if (status === 'preparing') this.#follow(id);
  }

  /** What the server last told of an avatar, or null. */
  find(id) {
    return this.#avatars.get(id) ?? null;
  }

  choose(id) {
    this.mark(id);
    this.#fire('choose', this.find(id));
  }

  /** Shows `id` as the chosen one, without choosing it. */
  mark(id) {
    this.chosen = id;
    const input = id === null ? null : this.#card(id)?.querySelector('input');
    if (input) input.checked = true;
    this.#showReport();
  }

  /** Uploads a picture or clip and chooses it once it is ready. */
  async add(file, rotate) {
    const name = file.name.replace(/\.[^.]*$/, '') || 'avatar';
    const card = waitingCard(name, 'Sending');
    this.#fire('adding');
    this.#adder.before(card);
    card.scrollIntoView({ block: 'nearest' });
    let avatar;
    try {
      const show = (share) => showProgress(card, share);
      avatar = await this.#api.uploadAvatar(file, { name, rotate }, show);
    } catch (error) {
      this.#refuse(error, file);
      return;
    } finally {
      card.remove();
    }
    keepUpload(avatar.id);
    this.#files.set(avatar.id, file);
    if (this.#files.size > MAX_FILES) this.#files.delete(this.#files.keys().next().value);
    this.#put({ name, progress: 0, ...avatar });
    await this.#follow(avatar.id);
    if (this.#avatars.get(avatar.id)?.status === 'ready') this.choose(avatar.id);
    else this.#card(avatar.id)?.scrollIntoView({ block: 'nearest' });
  }

  /** An avatar as an array of one, or of none when the server does not know it. */
  async #fetch(id) {
    try {
      return [await this.#api.avatar(id)];
    } catch (error) {
      if (error.status !== 404) throw error;
      forgetUpload(id);
      return [];
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
        if (error.status === 404) forgetUpload(id);
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
      showProgress(old, avatar.progress);
      return;
    }
    const card = this.#make(avatar);
    card.dataset.id = avatar.id;
    if (old) old.replaceWith(card);
    else this.#adder.before(card);
  }

  #make(avatar) {
    const { id, name, status } = avatar;
    const remove = () => this.#remove(id);
    if (status === 'failed') return failedCard(avatar, { remove });
    if (status === 'preparing') {
      const card = waitingCard(name, 'Preparing');
      showProgress(card, avatar.progress);
      return card;
    }
    // Those given on the command line are called by their id, and stay.
    const card = readyCard(avatar, {
      choose: () => this.choose(id),
      remove: this.#removable(avatar) ? remove : null,
      announce: (sentence) => this.#fire('announce', sentence),
    });
    this.#showPoster(id, card.querySelector('img'));
    return card;
  }

  /** One's own, and what the server shares; not what a link has led to. */
  #removable({ id, name }) {
    return ownUploads().includes(id) || (id !== name && this.#shared.has(id));
  }

  #showReport() {
    const avatar = this.#avatars.get(this.chosen);
    const file = this.#files.get(this.chosen);
    const turnable = file && avatar?.report && isLeaning(avatar.report);
    showReport(this.#report, avatar, turnable ? () => this.#turn(this.chosen, file) : null);
  }

  async #turn(id, file) {
    await this.add(file, 'auto');
    if (this.chosen !== id) await this.#remove(id);
  }

  /** While live an arrow key only moves on: Space or Enter chooses. */
  #walk(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const { target } = event;
    if (!this.live || target.type !== 'radio') return;
    if (event.key === 'Enter') target.click();
    if (!step) return;
    event.preventDefault();
    const inputs = [...this.#cards.querySelectorAll('input[type="radio"]')];
    inputs.at((inputs.indexOf(target) + step) % inputs.length).focus();
  }

  async #remove(id) {
    const next = this.#neighbour(id);
    try {
      await this.#api.removeAvatar(id);
    } catch (error) {
      if (error.status !== 404) {
        this.#refuse(error);
        return;
      }
    }
    const { name } = this.#avatars.get(id) ?? {};
    const focused = this.#card(id)?.contains(document.activeElement);
    this.#drop(id);
    forgetUpload(id);
    if (focused) next?.focus();
    if (name) this.#fire('announce', `${name} was removed.`);
  }

  /** What takes the focus when a card goes. */
  #neighbour(id) {
    const card = this.#card(id);
    const near = card?.nextElementSibling ?? card?.previousElementSibling;
    return near?.querySelector('input[type="radio"], button');
  }

  #drop(id) {
    this.#card(id)?.remove();
    this.#avatars.delete(id);
    this.#files.delete(id);
    URL.revokeObjectURL(this.#pictures.get(id));
    this.#pictures.delete(id);
    if (this.chosen === id) {
      const next = [...this.#avatars.values()].find((avatar) => avatar.status === 'ready');
      this.choose(next?.id ?? null);
    }
  }

  async #showPoster(id, picture) {
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

  #refuse(error, file = null) {
    this.#fire('refused', { error, file });
  }

  #fire(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
