"""Shots in which no mouth is drawn: too short, or followed too unsteadily."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from lipstream.avatar.face.smoothing import jitter
from lipstream.media.image import Floats

MIN_SHOT_S = Fraction(2, 5)  # a face seen for less is gone before its mouth is missed
# Second difference of the measured points over the eye distance, median of the shot. Heads that
# talk and nod reach 0.016, and 0.035 in their wildest half second.
MAX_SHOT_JITTER = 0.05


def without_unsteady_shots(
    measured: Sequence[Floats | None], shots: Sequence[int], fps: Fraction
) -> list[Floats | None]:
    """The measured faces of a clip of `fps` frames per second, None in shots that shall rest.

    A clip of one shot keeps its faces: there is nothing steadier in it.
    """
    kept = list(measured)
    if len(set(shots)) == 1:
        return kept
    for shot in sorted(set(shots)):
        frames = [index for index, other in enumerate(shots) if other == shot]
        faces = [measured[index] for index in frames]
        seen = sum(face is not None for face in faces)
        if seen < MIN_SHOT_S * fps or jitter(faces, [shot] * len(faces)) > MAX_SHOT_JITTER:
            for index in frames:
                kept[index] = None
    return kept
