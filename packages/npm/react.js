// <LipstreamAvatar /> for React 18 and newer: attributes as properties, events as onState, ...

import { createElement, forwardRef, useEffect, useRef } from 'react';

import './lipstream.js';

const EVENTS = {
  onState: 'state',
  onSpeech: 'speech',
  onCaption: 'caption',
  onMicrophone: 'microphone',
  onFigures: 'figures',
  onFailed: 'failed',
};
const SWITCHES = ['controls', 'autostart', 'captions', 'muted'];

export const LipstreamAvatar = forwardRef(function LipstreamAvatar(
  { session = null, ...properties },
  reference,
) {
  const element = useRef(null);
  const latest = useRef(properties);
  latest.current = properties;

  useEffect(() => {
    const listeners = Object.entries(EVENTS).map(([property, name]) => {
      const listener = ({ detail }) => latest.current[property]?.(detail);
      element.current.addEventListener(name, listener);
      return [name, listener];
    });
    const { current } = element;
    return () => listeners.forEach((listener) => current.removeEventListener(...listener));
  }, []);

  const attributes = Object.fromEntries(
    Object.entries(properties).filter(([name]) => !(name in EVENTS)),
  );
  // React 18 writes attributes as text, where a switch is there or it is not; React 19 sets what the
  // element has as properties.
  for (const name of SWITCHES) attributes[name] = attributes[name] ? true : undefined;
  return createElement('lipstream-avatar', {
    ...attributes,
    session: session ? JSON.stringify(session) : undefined,
    ref(node) {
      element.current = node;
      if (typeof reference === 'function') reference(node);
      else if (reference) reference.current = node;
    },
  });
});
