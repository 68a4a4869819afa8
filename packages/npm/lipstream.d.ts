/** The answer of a lipstream server to POST /v1/sessions. */
export interface Session {
  id: string;
  avatar: string;
  /** Good for this session alone, until it ends. */
  token: string;
  whep_url: string;
  audio_url: string;
  events_url: string;
  microphone_url: string;
  speech_url: string;
  say_url: string;
  expires_at: string;
  ice_servers: { urls: string[]; username?: string | null; credential?: string | null }[];
  look_ahead_ms: number;
  width: number;
  height: number;
  /** The middle of the face, as shares of width and height. */
  face: [number, number] | null;
  /** Whether the server keeps what is seen and heard of it. */
  recorded: boolean;
}

/** What became of an utterance. */
export interface Spoken {
  /** Its id in the session; null when the server took none. */
  utterance: number | null;
  /** How much of it was spoken; null when that is not known. */
  played_ms: number | null;
  interrupted: boolean;
}

export type State = 'idle' | 'connecting' | 'live' | 'reconnecting';
export type Motion = 'still' | 'calm' | 'lively';

/** An event of the server about the utterances of the session. */
export interface SpeechEvent {
  type: 'queued' | 'started' | 'ended' | 'interrupted' | 'failed' | 'buffered' | 'error';
  utterance?: number;
  played_ms?: number;
  ms?: number;
  code?: string;
  message?: string;
  warning?: string;
}

/** A word or a sentence, when it is heard. */
export interface Caption {
  type: 'caption';
  utterance: number;
  text: string;
  at_ms: number;
  until_ms: number | null;
  /** True where a sentence begins. */
  opens_line: boolean;
}

/** Measurements of the last second; null where the browser reports none. */
export interface Figures {
  fps: number | null;
  /** How far the picture is behind the sound. */
  av_offset_ms: number | null;
  /** From speech reaching the server to its picture on the screen. */
  latency_ms: number | null;
  jitter_video_ms: number | null;
  jitter_audio_ms: number | null;
  jitter_audio_floor_ms: number | null;
  playout_ms: number | null;
  rtt_ms: number | null;
  frames_decoded: number | null;
  dropped: number | null;
  freezes: number | null;
  packets_lost: number;
  packets_received: number;
}

export class ApiError extends Error {
  /** 0: there was no answer. */
  readonly status: number;
  /** A word for programs; `message` is a sentence for people. */
  readonly code: string;
  /** Seconds until a full server accepts requests again. */
  readonly retryAfter: number | null;
}

export interface LipstreamAvatarEvents {
  state: CustomEvent<State>;
  speech: CustomEvent<SpeechEvent>;
  caption: CustomEvent<Caption>;
  microphone: CustomEvent<boolean>;
  figures: CustomEvent<Figures>;
  failed: CustomEvent<ApiError>;
}

/** Samples as Int16Array, Float32Array in -1..1, or bytes of 16-bit little-endian samples. */
export type Samples = Int16Array | Float32Array | ArrayBuffer | Uint8Array;

export class LipstreamAvatar extends HTMLElement {
  /** The server of elements that name none. */
  static home: string;

  readonly state: State;
  /** The session that runs; set it to the answer that one's own server got. */
  get session(): Session | null;
  set session(session: Session | null);
  /** The server's token, as the attribute, but not to be seen in the page's markup. */
  token: string;
  readonly stream: MediaStream | null;
  readonly video: HTMLVideoElement;
  /** Of the microphone, 0..1. */
  readonly level: number;
  /** ms from the last start to its first picture; null before. */
  readonly firstFrame: number | null;
  muted: boolean;
  /** 0..1 */
  volume: number;

  /**
   * Connects; call it from a click, or the browser keeps the sound off. While it is live it changes
   * to another `avatar`; where that is refused, the one that is shown goes on.
   */
  start(): Promise<void>;
  stop(): void;
  /** Says a text; resolves when it was spoken or interrupted. */
  say(text: string, options?: { voice?: string }): Promise<Spoken>;
  /** Speaks a sound file or samples; resolves when they were spoken or interrupted. */
  speak(sound: Blob): Promise<Spoken>;
  speak(samples: Samples | ReadableStream<Uint8Array>, sampleRate?: number): Promise<Spoken>;
  /** Silences the voice and closes the mouth at once. */
  interrupt(): Promise<void>;
  microphone(on: boolean, options?: { deviceId?: string }): Promise<void>;

  addEventListener<K extends keyof LipstreamAvatarEvents>(
    type: K,
    listener: (this: LipstreamAvatar, event: LipstreamAvatarEvents[K]) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'lipstream-avatar': LipstreamAvatar;
  }
}
