// The sound of a track as its player takes it, on this page's clock.

const MAX_BUFFERED = 500; // pieces of 10 ms that wait while the page is busy

/** Calls `take(samples, time)` for each piece; `time` in ms, of the piece's first sample. */
export async function tap(track, take) {
  const reader = new MediaStreamTrackProcessor({ track, maxBuffer: MAX_BUFFERED }).readable.getReader();
  let shift = Infinity; // from the clock of the pieces, which never stops, to the page's
  for (;;) {
    const { done, value: piece } = await reader.read();
    if (done) return;
    // A piece can only come late: the smallest difference is the nearest to the truth.
    shift = Math.min(shift, performance.now() - piece.timestamp / 1000);
    const samples = new Float32Array(piece.numberOfFrames);
    piece.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
    take(samples, piece.timestamp / 1000 + shift);
    piece.close();
  }
}

/** The time from there to the loudspeaker, ms, as the browser reports. */
export async function playoutDelay(avatar) {
  for (const entry of (await avatar.connection.stats()).values()) {
    if (entry.type === 'media-playout' && entry.totalSamplesCount > 0) {
      return (1000 * entry.totalPlayoutDelay) / entry.totalSamplesCount;
    }
  }
  return 0;
}
