// The element's own markup and style, out of reach of the page's.

const STYLE = `
  :host { display: block; position: relative; overflow: hidden; font: 1rem/1.4 system-ui, sans-serif; }
  :host([hidden]), [hidden] { display: none !important; }
  img, video { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: contain; }
  :host([fit="cover"]) :is(img, video) { object-fit: cover; }
  img:not([src]) { visibility: hidden; }
  video { opacity: 0; transition: opacity 0.25s; }
  video.shown { opacity: 1; }
  button {
    display: inline-grid; place-items: center; min-width: 2.75rem; min-height: 2.75rem;
    padding: 0 0.7rem; border: 0; border-radius: 2rem; font: inherit; cursor: pointer;
    background: rgb(0 0 0 / 65%); color: white;
  }
  button:focus-visible { outline: 3px solid white; outline-offset: -5px; }
  svg { width: 1.35rem; height: 1.35rem; fill: none; stroke: currentColor; stroke-width: 1.8;
    stroke-linecap: round; stroke-linejoin: round; }
  .foot {
    position: absolute; inset: auto 0 0; padding: 0.75rem; pointer-events: none;
    display: grid; gap: 0.6rem; justify-items: center;
  }
  .foot > * { pointer-events: auto; }
  .captions, .message {
    max-width: 34em; margin: 0; padding: 0.35em 0.8em; border-radius: 0.6em;
    background: rgb(0 0 0 / 72%); color: white; text-align: center; text-wrap: balance;
  }
  .captions { font-size: clamp(1rem, 4.5cqi, 1.5rem); }
  .message { font-size: 0.95rem; }
  :is(.captions, .message):empty { display: none; }
  .controls { display: flex; gap: 0.5rem; }
  [aria-pressed="true"] { background: white; color: black; }
  [aria-pressed="true"]:focus-visible { outline-color: black; }
  .frame { position: absolute; inset: 0; container-type: inline-size; }
  @media (prefers-reduced-motion: reduce) { video { transition: none; } }
`;
const ICONS = {
  start: '<path d="M8 5v14l11-7z"/>',
  stop: '<rect x="6" y="6" width="12" height="12" rx="2"/>',
  microphone:
    '<rect x="9" y="3" width="6" height="11" rx="3"/><path d="M5 11a7 7 0 0 0 14 0M12 18v3"/>',
  muted: '<path d="M4 9v6h4l5 4V5L8 9zM17 9l5 6M22 9l-5 6"/>',
  sound: '<path d="M4 9v6h4l5 4V5L8 9zM17 8.5a5 5 0 0 1 0 7M19.5 6a9 9 0 0 1 0 12"/>',
};
const PARTS = `
  <div class="frame">
    <img part="poster" alt="">
    <video part="video" autoplay playsinline aria-label="Talking avatar"></video>
    <div class="foot">
      <p part="captions" class="captions" hidden></p>
      <p part="message" class="message" role="alert" hidden></p>
      <button part="unmute" class="unmute" type="button" hidden>Switch the sound on</button>
      <div part="controls" class="controls" role="group" aria-label="Avatar" hidden>
        <button class="toggle" type="button"></button>
        <button class="microphone" type="button" aria-label="Microphone"></button>
        <button class="mute" type="button" aria-label="Mute"></button>
      </div>
    </div>
  </div>
`;

/** Fills a shadow root; returns the sheet to which rules of this one element may be added. */
export function furnish(root) {
  // Sheets, as a <style> would need a content security policy to allow it.
  const [common, own] = [new CSSStyleSheet(), new CSSStyleSheet()];
  common.replaceSync(STYLE);
  root.adoptedStyleSheets = [common, own];
  root.innerHTML = PARTS;
  return own;
}

/** Puts an icon into a button. */
export function setIcon(button, name) {
  button.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[name]}</svg>`;
}
