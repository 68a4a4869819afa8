// Readings of a connection's figures, once a second.

import { FigureMeter } from './figures.js';

const EVERY_MS = 1_000;
const DUE_EVERY = 5; // readings: the server is to know one of so many
const MAX_SILENT = 3; // readings without one packet until the connection counts as lost

export class Readings {
  #timer;
  #stopped = false;

  /**
   * Reads a WhepConnection until `stop`, and keeps its lips and voice together. `lookAhead`: ms that
   * the server waits on purpose. `take(figures, due)` is called with each reading, `lost()` when
   * nothing comes any more.
   */
  constructor(connection, lookAhead, { take, lost }) {
    const meter = new FigureMeter(lookAhead);
    let [count, received, silent] = [0, 0, 0];
    this.#timer = setInterval(async () => {
      const figures = meter.read(await connection.stats());
      if (this.#stopped) return;
      const { av_offset_ms, jitter_video_ms, jitter_audio_floor_ms } = figures;
      connection.lipSync.follow(av_offset_ms, jitter_video_ms, jitter_audio_floor_ms);
      // Sound is always sent, silence too: without packets the server is unreachable.
      silent = figures.packets_received > received ? 0 : silent + 1;
      received = figures.packets_received;
      count += 1;
      take(figures, silent < MAX_SILENT && count % DUE_EVERY === 0);
      if (silent >= MAX_SILENT) lost();
    }, EVERY_MS);
  }

  stop() {
    this.#stopped = true;
    clearInterval(this.#timer);
  }
}
