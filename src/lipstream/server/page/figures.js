// What a viewer gets, out of WebRTC's statistics.

/** Compares one reading with the last; gives plain numbers, null where the browser does not tell. */
export class FigureMeter {
  #last = null;

  constructor(lookAhead) {
    this.lookAhead = lookAhead; // ms that the server waits on purpose
  }

  /** `report` is an RTCStatsReport. */
  read(report) {
    const now = gather(report);
    const before = this.#last ?? now;
    this.#last = now;
    const { video, audio, pair } = now;
    const seconds = ((video?.timestamp ?? 0) - (before.video?.timestamp ?? 0)) / 1000;
    const rtt = milliseconds(pair?.currentRoundTripTime);
    const waited = { audio: buffered(audio, before.audio), video: buffered(video, before.video) };
    return {
      fps: seconds > 0 ? (video.framesDecoded - (before.video.framesDecoded ?? 0)) / seconds : null,
      av_offset_ms: difference(video?.estimatedPlayoutTimestamp, audio?.estimatedPlayoutTimestamp),
      latency_ms:
        waited.video === null || rtt === null ? null : this.lookAhead + rtt / 2 + waited.video,
      rtt_ms: rtt,
      jitter_audio_ms: waited.audio,
      jitter_video_ms: waited.video,
      dropped: video?.framesDropped ?? null,
      freezes: video?.freezeCount ?? null,
      packets_lost: (video?.packetsLost ?? 0) + (audio?.packetsLost ?? 0),
      concealed_ms: audio ? (audio.concealedSamples ?? 0) / 48 : null,
      received: audio?.packetsReceived ?? 0,
    };
  }
}

function gather(report) {
  const found = {};
  for (const entry of report.values()) {
    if (entry.type === 'inbound-rtp') found[entry.kind] = entry;
    if (entry.type === 'candidate-pair' && entry.nominated) found.pair = entry;
  }
  return found;
}

/** Mean time in the jitter buffer since the last reading, ms. */
function buffered(now, before) {
  const count = (now?.jitterBufferEmittedCount ?? 0) - (before?.jitterBufferEmittedCount ?? 0);
  return count > 0 ? (1000 * (now.jitterBufferDelay - before.jitterBufferDelay)) / count : null;
}

function milliseconds(seconds) {
  return seconds === undefined ? null : seconds * 1000;
}

function difference(one, other) {
  return one && other ? one - other : null;
}
