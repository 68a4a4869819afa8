// Choices that this browser remembers. Storage may be forbidden: then they last until the page is left.

const PREFIX = 'lipstream-';
const kept = new Map(); // what could not be stored

/** The value stored under `name`, or `fallback`. */
export function recall(name, fallback) {
  if (kept.has(name)) return kept.get(name);
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? fallback;
  } catch {
    return fallback; // forbidden, or not written by this page
  }
}

/** Remembers `value`, which JSON can hold, under `name`. */
export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    kept.delete(name); // other tabs may store another value
  } catch {
    kept.set(name, value); // forbidden or full
  }
}
