// Keeps every frame (as JPEG) and every sample that a viewer gets, on this page's clock.

const QUALITY = 0.92;

export const frames = []; // { time: ms, picture: a promise of a Blob }
export const sound = { samples: [], first: null, shift: Infinity }; // first: seconds of its context

export async function record(avatar) {
  const { video } = avatar;
  const next = (_, { expectedDisplayTime: time }) => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext('2d').drawImage(video, 0, 0);
    frames.push({ time, picture: canvas.convertToBlob({ type: 'image/jpeg', quality: QUALITY }) });
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  const context = new AudioContext({ latencyHint: 'interactive', sampleRate: 48_000 });
  await context.audioWorklet.addModule(new URL('tape.js', import.meta.url));
  const node = new AudioWorkletNode(context, 'tape', { numberOfOutputs: 0 });
  node.port.onmessage = ({ data }) => {
    sound.shift = Math.min(sound.shift, performance.now() - 1000 * data.now);
    sound.first ??= data.first;
    sound.samples.push(data.samples);
  };
  context.createMediaStreamSource(new MediaStream(avatar.stream.getAudioTracks())).connect(node);
  await context.resume();
}

/** When the first sample was heard, ms, and all of them as base64 of 32-bit floats. */
export async function heard() {
  const all = new Blob(sound.samples);
  return { time: 1000 * sound.first + sound.shift, samples: await base64(all) };
}

/** Some of the frames: [time in ms, base64 of a JPEG]. */
export async function seen(start, stop) {
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
