// One WebRTC connection made by WHEP: an offer by POST, candidates by PATCH, DELETE at the end.

import { ApiError } from './api.js';
import { LipSync } from './sync.js';

const CONNECT_TIMEOUT = 12_000; // ms
const DISCONNECTED_TIMEOUT = 2_500; // ms until a connection without answers counts as lost
const NO_MEDIA = 'No media connection could be made. Check that the network lets UDP through.';
const NO_ADDRESS =
  'This browser has no network address to connect from. Connect to any network; it needs no internet.';
const BATCH_MS = 20; // over which candidates are gathered into one PATCH

/** Fires `lost` once when an established connection fails or closes. */
export class WhepConnection extends EventTarget {
  #api;
  #pc;
  #sender;
  #resource = null;
  #etag = null;
  #candidates = [];
  #patching = null;
  #over = false;

  /** `iceServers` as RTCPeerConnection takes them; `stream` receives the tracks. */
  constructor(api, iceServers, stream) {
    super();
    this.#api = api;
    this.#pc = new RTCPeerConnection({ iceServers, bundlePolicy: 'max-bundle' });
    // The microphone has its media line from the start, so switching it on needs no new offer.
    const voice = this.#pc.addTransceiver('audio', { direction: 'sendrecv' });
    const pictures = this.#pc.addTransceiver('video', { direction: 'recvonly' });
    this.#sender = voice.sender;
    this.lipSync = new LipSync(pictures.receiver, voice.receiver);
    this.#pc.ontrack = ({ track }) => stream.addTrack(track);
    this.#pc.onicecandidate = ({ candidate }) => this.#collect(candidate);
  }

  /** Resolves when media can flow. ApiError when refused or not connected in time. */
  async open(url, signal) {
    const connected = this.#connected(signal);
    connected.catch(() => {}); // the first error is reported below
    try {
      await this.#pc.setLocalDescription();
      const response = await this.#api.call('POST', url, {
        headers: { 'Content-Type': 'application/sdp' },
        body: this.#pc.localDescription.sdp,
        signal,
      });
      this.#resource = new URL(response.headers.get('Location') ?? '', response.url).href;
      this.#etag = response.headers.get('ETag');
      await this.#pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
      this.#flush();
      await connected;
    } catch (error) {
      this.close();
      throw error;
    }
    this.#watch();
  }

  /** Sends the microphone's track, or nothing with null. */
  send(track) {
    return this.#sender.replaceTrack(track);
  }

  stats() {
    return this.#pc.getStats();
  }

  /**
   * Ends the connection on both sides, also while the page is being left; on this side only when
   * the server has `ended` its session.
   */
  close(ended = false) {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#patching);
    this.#pc.close();
    if (this.#resource && !ended) {
      this.#api.call('DELETE', this.#resource, { keepalive: true }).catch(() => {});
    }
  }

  #connected(signal) {
    return new Promise((resolve, reject) => {
      const failed = (message = NO_MEDIA) => reject(new ApiError(0, 'no_media', message));
      const timer = setTimeout(failed, CONNECT_TIMEOUT);
      // Addresses of the machine itself do not count, so a browser without a network has none.
      this.#pc.onicegatheringstatechange = () => {
        const { iceGatheringState, localDescription } = this.#pc;
        if (iceGatheringState !== 'complete' || localDescription.sdp.includes('a=candidate')) return;
        clearTimeout(timer);
        failed(NO_ADDRESS);
      };
      signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(new DOMException('stopped', 'AbortError'));
      });
      this.#pc.onconnectionstatechange = () => {
        if (this.#pc.connectionState === 'connected') {
          clearTimeout(timer);
          resolve();
        } else if (this.#pc.connectionState === 'failed') {
          clearTimeout(timer);
          failed();
        }
      };
    });
  }

  #watch() {
    let timer = null;
    this.#pc.onconnectionstatechange = () => {
      clearTimeout(timer);
      const state = this.#pc.connectionState;
      if (state === 'failed' || state === 'closed') this.#lose();
      else if (state === 'disconnected') timer = setTimeout(() => this.#lose(), DISCONNECTED_TIMEOUT);
    };
  }

  #lose() {
    if (!this.#over) this.dispatchEvent(new Event('lost'));
  }

  #collect(candidate) {
    this.#candidates.push(candidate); // null: end of candidates
    if (this.#resource) this.#flush();
  }

  #flush() {
    this.#patching ??= setTimeout(() => {
      this.#patching = null;
      const candidates = this.#candidates.splice(0);
      if (candidates.length && !this.#over) this.#patch(candidates);
    }, BATCH_MS);
  }

  async #patch(candidates) {
    const headers = { 'Content-Type': 'application/trickle-ice-sdpfrag' };
    if (this.#etag) headers['If-Match'] = this.#etag;
    try {
      const body = fragment(this.#pc.localDescription.sdp, candidates);
      await this.#api.call('PATCH', this.#resource, { headers, body });
    } catch (error) {
      // The server's own candidates usually suffice; the connection state shows if they do not.
      console.debug('lipstream: candidates were refused:', error.message);
    }
  }
}

/** Candidates as application/trickle-ice-sdpfrag (RFC 8840); null is the end of candidates. */
export function fragment(sdp, candidates) {
  const lines = sdp.split('\r\n');
  const first = (prefix) => lines.find((line) => line.startsWith(prefix));
  const out = [first('a=ice-ufrag:'), first('a=ice-pwd:')];
  const known = candidates.filter((candidate) => candidate?.candidate);
  const mids = new Set(known.map((candidate) => candidate.sdpMid));
  const done = known.length < candidates.length;
  if (done && mids.size === 0) mids.add(first('a=mid:').slice('a=mid:'.length));
  for (const mid of mids) {
    const position = lines.indexOf(`a=mid:${mid}`);
    out.push(lines.slice(0, position).findLast((line) => line.startsWith('m=')), `a=mid:${mid}`);
    for (const candidate of known) {
      if (candidate.sdpMid === mid) out.push(`a=${candidate.candidate}`);
    }
    if (done) out.push('a=end-of-candidates');
  }
  return `${out.join('\r\n')}\r\n`;
}
