// A viewer's figures, computed from WebRTC's statistics.

/**
 * Compares one reading with the last; returns plain numbers, null where the browser reports none.
 * They have the names under which the server counts them.
 */
export class FigureMeter {
  #last = null;

  /** `lookAhead`: ms that the server waits on purpose. */
  constructor(lookAhead) {
    this.lookAhead = lookAhead;
  }

  /** `report` is an RTCStatsReport. */
  read(report) {
    const now = gather(report);
    const before = this.#last ?? now;
    this.#last = now;
    const { video, audio, playout, pair } = now;
    const seconds = ((video?.timestamp ?? 0) - (before.video?.timestamp ?? 0)) / 1000;
    const trip = milliseconds(pair?.currentRoundTripTime);
    const waited = mean('jitterBufferDelay', video, before.video);
    return {
      fps: seconds > 0 ? (video.framesDecoded - (before.video.framesDecoded ?? 0)) / seconds : null,
      // Times at which the parts that play now were made: later sound is ahead of its picture.
      av_offset_ms: difference(audio?.estimatedPlayoutTimestamp, video?.estimatedPlayoutTimestamp),
      latency_ms: waited === null || trip === null ? null : this.lookAhead + trip / 2 + waited,
      jitter_video_ms: waited,
      jitter_audio_ms: mean('jitterBufferDelay', audio, before.audio),
      // The wait of sound without the demands of pictures and of this page.
      jitter_audio_floor_ms: mean('jitterBufferMinimumDelay', audio, before.audio),
      // From there to the loudspeaker.
      playout_ms: mean('totalPlayoutDelay', playout, before.playout, 'totalSamplesCount'),
      rtt_ms: trip,
      frames_decoded: video?.framesDecoded ?? null,
      dropped: video?.framesDropped ?? null,
      freezes: video?.freezeCount ?? null,
      packets_lost: (video?.packetsLost ?? 0) + (audio?.packetsLost ?? 0),
      packets_received: audio?.packetsReceived ?? 0,
    };
  }
}

function gather(report) {
  const found = {};
  for (const entry of report.values()) {
    if (entry.type === 'inbound-rtp') found[entry.kind] = entry;
    if (entry.type === 'media-playout') found.playout = entry;
    if (entry.type === 'candidate-pair' && entry.nominated) found.pair = entry;
  }
  return found;
}

/** The mean per sample or frame of the sum `name` since the last reading, ms. */
function mean(name, now, before, counted = 'jitterBufferEmittedCount') {
  const count = (now?.[counted] ?? 0) - (before?.[counted] ?? 0);
  const sum = now?.[name] - before?.[name];
  return count > 0 && Number.isFinite(sum) ? (1000 * sum) / count : null;
}

function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}

function difference(one, other) {
  return one && other ? one - other : null;
}
