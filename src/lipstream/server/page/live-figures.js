// The row of figures below the picture.

const IDS = ['fps', 'offset', 'latency', 'dropped'];

/** Shows a reading of the element; null: none. */
export function showFigures(reading) {
  if (reading === null) {
    for (const id of IDS) show(id, null);
    return;
  }
  const { fps, av_offset_ms: offset, latency_ms: latency, dropped } = reading;
  show('fps', fps);
  show('offset', offset, ' ms', '+');
  show('latency', latency, ' ms');
  show('dropped', dropped);
}

function show(id, value, unit = '', plus = '') {
  const known = value !== null && Number.isFinite(value);
  const whole = Math.round(value);
  const sign = whole < 0 ? '−' : whole > 0 ? plus : '';
  document.getElementById(`figure-${id}`).textContent = known
    ? `${sign}${Math.abs(whole)}${unit}`
    : '–';
}
