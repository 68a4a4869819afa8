// The ids of what this browser has uploaded: the server tells them to nobody else.

import { recall, remember } from '../preferences.js';

const KEY = `avatars:${new URL('..', import.meta.url).pathname}`;
const MAX_OWN = 64; // the oldest is forgotten first

export function ownUploads() {
  const ids = recall(KEY, []);
  return Array.isArray(ids) ? ids.map(String) : [];
}

export function keepUpload(id) {
  remember(KEY, [...ownUploads(), id].slice(-MAX_OWN));
}

export function forgetUpload(id) {
  if (!ownUploads().includes(id)) return;
  remember(KEY, ownUploads().filter((kept) => kept !== id));
}
