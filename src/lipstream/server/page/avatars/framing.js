// A picture that is cut to a square, around its face.

/**
 * The CSS `object-position` that puts a face into the middle of a square, as far as the picture
 * reaches. `face`: its middle as shares of width and height, or null.
 *
 * Of a picture twice as wide as high half is seen. A face at 0.25 of the width is in the middle of
 * the part from 0 to 0.5: the position is 0 %.
 */
export function squareAround(face, width, height) {
  if (!face || !width || !height) return '50% 50%';
  const [x, y] = face;
  return `${share(x, height / width)}% ${share(y, width / height)}%`;
}

/** `seen`: the share of one axis that fits; more than 1 is all of it. */
function share(middle, seen) {
  if (seen >= 1) return 50;
  const start = Math.min(Math.max(middle - seen / 2, 0), 1 - seen);
  return Math.round((1000 * start) / (1 - seen)) / 10;
}
