// The cards of the list of avatars: ready, in work, failed, and the one that adds another.

import { sentence } from '../notices.js';
import { squareAround } from './framing.js';

const ACCEPT = 'image/*,video/*,.heic,.heif,.avif';
const CONFIRM_MS = 4_000; // within which a second press removes an avatar

/** A card with a radio button. `remove` is null where it stays; `announce` tells screen readers. */
export function readyCard({ id, name, report, face, width, height }, { choose, remove, announce }) {
  const card = make('li', 'card');
  const label = make('label');
  const input = make('input');
  input.type = 'radio';
  input.name = 'avatar';
  input.value = id;
  input.onchange = choose;
  const picture = make('img');
  picture.alt = '';
  picture.style.objectPosition = squareAround(face, width, height);
  label.append(input, picture, make('span', 'name', name));
  if (report?.frames > 1) label.append(make('span', 'kind', 'Clip'));
  card.append(label);
  if (remove) card.append(remover(name, remove, announce));
  return card;
}

/** A card with a bar; `what` is done with it. */
export function waitingCard(name, what) {
  const card = make('li', 'card waiting');
  const bar = make('progress');
  bar.max = 1;
  bar.setAttribute('aria-label', `${what} ${name}`);
  card.append(make('div', 'blank'), make('span', 'what', what), bar, make('span', 'name', name));
  return card;
}

/** Shows the share that is done, 0..1; null where it is unknown. */
export function showProgress(card, share) {
  const bar = card.querySelector('progress');
  if (share === null || share === undefined) bar.removeAttribute('value');
  else bar.value = share;
}

export function failedCard({ name, reason }, { remove }) {
  const card = make('li', 'card failed');
  const close = make('button', 'plain', 'Remove');
  close.type = 'button';
  close.setAttribute('aria-label', `Remove ${name}`);
  close.onclick = remove;
  const message = make('p', 'reason', sentence(reason || 'this file could not be used.', name));
  message.setAttribute('role', 'alert');
  card.append(make('span', 'name', name), message, close);
  return card;
}

/** The card that asks for a file and calls `add` with it. */
export function adderCard(add) {
  const card = make('li', 'card adder');
  const button = make('button');
  button.type = 'button';
  button.setAttribute('aria-label', 'Add a picture or clip');
  const input = make('input');
  input.type = 'file';
  input.accept = ACCEPT;
  input.hidden = true;
  input.id = 'avatar-file';
  button.append(make('span', 'plus', '+'), make('span', 'name', 'Picture or clip'));
  button.onclick = () => input.click();
  input.onchange = () => {
    if (input.files.length) add(input.files[0]);
    input.value = '';
  };
  card.append(button, input);
  return card;
}

function remover(name, remove, announce) {
  const button = make('button', 'remove');
  button.type = 'button';
  button.title = 'Remove';
  const ask = (asking) => {
    button.classList.toggle('confirm', asking);
    button.replaceChildren(make('span', '', asking ? 'Remove?' : '×'));
    button.setAttribute('aria-label', asking ? `Remove ${name}? Press again` : `Remove ${name}`);
  };
  ask(false);
  button.onclick = () => {
    if (button.classList.contains('confirm')) {
      remove();
      return;
    }
    ask(true);
    announce(`Press again to remove ${name}.`);
    setTimeout(() => ask(false), CONFIRM_MS);
  };
  return button;
}

function make(name, className = '', text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
