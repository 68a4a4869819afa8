import type { ForwardRefExoticComponent, HTMLAttributes, RefAttributes } from 'react';

import type {
  ApiError,
  Caption,
  Figures,
  LipstreamAvatar as Element,
  Motion,
  Session,
  SpeechEvent,
  State,
} from './lipstream.js';

export interface LipstreamAvatarProperties extends HTMLAttributes<Element> {
  /** The address of the lipstream server. */
  server: string;
  avatar?: string;
  /** The server's own token; give `session` instead where others see the page. */
  token?: string;
  session?: Session | null;
  controls?: boolean;
  autostart?: boolean;
  captions?: boolean;
  muted?: boolean;
  volume?: number;
  fit?: 'contain' | 'cover';
  motion?: Motion;
  onState?: (state: State) => void;
  onSpeech?: (event: SpeechEvent) => void;
  onCaption?: (caption: Caption) => void;
  onMicrophone?: (on: boolean) => void;
  onFigures?: (figures: Figures) => void;
  onFailed?: (error: ApiError) => void;
}

/** The element as a React component; its `ref` is the element with its methods. */
export const LipstreamAvatar: ForwardRefExoticComponent<
  LipstreamAvatarProperties & RefAttributes<Element>
>;
