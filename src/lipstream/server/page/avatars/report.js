// The quality report of an avatar in plain words.

const FPS = 25;
const MIN_EYE_DISTANCE = 60; // pixels between the outer eye corners from which the mouth is crisp
const MAX_YAW = 0.2; // nose offset over eye distance from which a head looks turned

const MAX_LEAN = 45; // degrees; beyond, another side of the picture is meant to be up

/** True where the head lies on its side or upside down. */
export function isLeaning({ roll }) {
  return Math.abs(roll) > MAX_LEAN;
}

/** Fills `place` with the report of `avatar`, or empties it; `turn` sets the face upright, if given. */
export function showReport(place, avatar, turn = null) {
  place.replaceChildren();
  if (!avatar?.report) return;
  const { report } = avatar;
  const warnings = warningsOf(report);
  place.append(
    element('h3', warnings.length ? 'Good to know' : 'Ready to talk'),
    warnings.length
      ? list(warnings)
      : element('p', `This ${kind(report)} suits well: nothing stands in the way of the mouth.`),
  );
  if (turn) place.append(turner(turn));
  place.append(facts(report));
}

function warningsOf(report) {
  // The option of the command line is a button here, or another picture.
  const sentences = (report.warnings ?? []).filter((sentence) => !sentence.includes('--rotate'));
  return isLeaning(report) ? ['The face does not stand upright.', ...sentences] : sentences;
}

function turner(turn) {
  const button = element('button', 'Turn it upright');
  button.type = 'button';
  button.onclick = turn;
  return button;
}

function facts(report) {
  const rows = [
    ['Source', report.frames > 1 ? `clip of ${seconds(report.frames)}` : 'still picture'],
    ['Size', `${report.width} × ${report.height}`],
    ['Face', `${size(report)}, ${direction(report)}`],
  ];
  if (report.frames > 1) rows.push(['Face found', `in ${report.faces_found} of ${report.frames} frames`]);
  const place = element('dl');
  for (const [name, value] of rows) place.append(element('dt', name), element('dd', value));
  return place;
}

function kind(report) {
  return report.frames > 1 ? 'clip' : 'picture';
}

function seconds(frames) {
  return `${(frames / FPS).toFixed(1)} s`;
}

function size(report) {
  return report.eye_distance >= MIN_EYE_DISTANCE ? 'large enough' : 'rather small';
}

function direction(report) {
  return Math.abs(report.yaw) > MAX_YAW ? 'turned to the side' : 'looks at the camera';
}

function list(sentences) {
  const place = element('ul');
  place.append(...sentences.map((sentence) => element('li', sentence)));
  return place;
}

function element(name, text) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  return made;
}
