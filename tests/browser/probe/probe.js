// Measures the pictures and the sound of a viewer. All times are of this page's clock, in ms.

import { Edges } from './edges.js';
import { playoutDelay, tap } from './tap.js';

const MIN_BRIGHTNESS = 64; // of the bar, 0..255, from which the mouth counts as open
const BITS = 16;
const RATE = 24_000; // Hz of the test's speech

const canvas = new OffscreenCanvas(BITS, 2);
const context = canvas.getContext('2d', { willReadFrequently: true });

const opened = [];
const closed = [];
const counters = []; // of all frames shown, in their order
let sound = new Edges();
let looking = false;
let watched = null;

/** Watches the element's picture and sound from now on; call it again after a reconnection. */
export function watch(avatar) {
  if (!looking) look(avatar.video);
  looking = true;
  watched = avatar;
  const edges = new Edges(); // sound before a reconnection is forgotten
  sound = edges;
  tap(avatar.stream.getAudioTracks()[0], (samples, time) => edges.take(samples, time));
}

function look(video) {
  let open = false;
  const next = (_, { expectedDisplayTime: time }) => {
    const width = video.videoWidth;
    // One pixel of the bar, then one of each cell of the counter.
    context.drawImage(video, width / 2 - 8, 16, 16, 32, 0, 0, 1, 1);
    context.drawImage(video, 0, 72, width, 16, 0, 1, BITS, 1);
    const { data } = context.getImageData(0, 0, BITS, 2);
    const isOpen = data[0] > MIN_BRIGHTNESS;
    if (isOpen !== open) {
      open = isOpen;
      (open ? opened : closed).push(time);
    }
    let counter = 0;
    for (let bit = 0; bit < BITS; bit += 1) {
      if (data[4 * (BITS + bit)] > 128) counter += 2 ** bit;
    }
    counters.push(counter);
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
}

/** Sends a tone as one utterance; returns the time at which it left. */
export function beep(avatar, milliseconds) {
  const tone = new Int16Array((RATE * milliseconds) / 1000);
  tone.forEach((_, index) => {
    tone[index] = 12_000 * Math.sin((2 * Math.PI * 1000 * index) / RATE);
  });
  const sent = performance.now();
  avatar.speak(tone, RATE);
  return sent;
}

/** Interrupts; returns the time at which the request left. */
export function interrupt(avatar) {
  const sent = performance.now();
  avatar.interrupt();
  return sent;
}

/** Closes the connection without signalling; `peers` are kept by a script of the test. */
export function cut() {
  peers.at(-1).close();
}

/** Inbound statistics by kind. */
export async function stats(avatar) {
  const found = {};
  for (const entry of (await avatar.connection.stats()).values()) {
    if (entry.type === 'inbound-rtp') found[entry.kind] = entry;
  }
  return JSON.parse(JSON.stringify(found));
}

/** All times so far; those of sound are when it leaves the loudspeaker. */
export async function record() {
  const delay = await playoutDelay(watched);
  const played = (times) => times.map((time) => time + delay);
  const now = performance.now();
  return { now, opened, closed, sounds: played(sound.on), silences: played(sound.off), counters };
}
