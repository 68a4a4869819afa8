"""The arithmetic of OpenCV's bilinear resize and of `blend.mix`, in integers."""

from __future__ import annotations

# OpenCV's fixed point: weights of a row and of a column sum up to this. The sum of a row loses four
# bits, its product with a column's weight sixteen; two of the bits left are rounded away.
ONE = 2048
COLUMNS, PIXELS = 10, 8  # of a patch in its table, and where its number of pixels stands
NEARLY_255 = 255.00001  # what OpenCV divides mixed bytes by
