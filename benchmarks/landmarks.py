"""Points of the face mesh that only measurements need; see `lipstream.avatar.face.landmarks`."""

from __future__ import annotations

NOSE_WINGS = (98, 97, 2, 326, 327)
JAW_LINE = (
    *(234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454),
)  # the lower half of the outline, ear to ear
CHEEKS = (50, 205, 280, 425)
