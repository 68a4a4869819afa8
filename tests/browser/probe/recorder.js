// Records every frame (as JPEG) and every sample of a viewer, on this page's clock.

import { playoutDelay, tap } from './tap.js';

const QUALITY = 0.92;
const PER_MS = 48; // samples
const MIN_HOLE = 20; // ms without sound that are filled with silence

const frames = []; // { time: ms, picture: a promise of a Blob }
const sound = { samples: [], first: null }; // first: when the first sample was played

export function record(avatar) {
  const { video } = avatar;
  const next = (_, { expectedDisplayTime: time }) => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext('2d').drawImage(video, 0, 0);
    frames.push({ time, picture: canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY }) });
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  let end = null;
  tap(avatar.stream.getAudioTracks()[0], (samples, time) => {
    sound.first ??= time;
    end ??= time;
    const hole = time - end > MIN_HOLE ? Math.round((time - end) * PER_MS) : 0;
    sound.samples.push(new Float32Array(hole), samples);
    end += (hole + samples.length) / PER_MS;
  });
}

/** The time of the first sample, ms, and all of them as base64 of 32-bit floats. */
export async function recordedSound(avatar) {
  const all = new Blob(sound.samples);
  return { time: sound.first + (await playoutDelay(avatar)), samples: await base64(all) };
}

/** Some of the frames: [time in ms, base64 of a JPEG]. */
export async function recordedFrames(start, stop) {
  const chosen = frames.slice(start, stop);
  return Promise.all(chosen.map(async ({ time, picture }) => [time, await base64(await picture)]));
}

function base64(blob) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.readAsDataURL(blob);
  });
}
