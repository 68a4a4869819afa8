"""The stretch of a clip in which its person hardly talks: what a live session plays.

Hands and head of a talker go on talking while the avatar listens, so the clip's quiet part makes
the better loop, forth and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lipstream.avatar.avatar import Avatar, AvatarFrame
from lipstream.avatar.face.openness import parted

MIN_SECONDS = 2  # of a stretch; the repetition of a shorter one is noticed
MIN_TALKING = 0.1  # of the clip's frames with an open mouth; with fewer all of it is quiet
TALKING_COST = 3  # quiet frames that one with an open mouth or without a face outweighs


def quiet_stretch(avatar: Avatar) -> Avatar:
    """The avatar with the quietest stretch of its clip alone.

    The same avatar where that is all of it, where no stretch of two seconds is quiet, and where a
    backend has prepared its frames.
    """
    noisy = _noisy(avatar.frames)
    if not avatar.moving or avatar.extras or sum(noisy) < MIN_TALKING * len(noisy):
        return avatar
    start, end = max(_stretches(avatar.frames, noisy), key=lambda one: one[1] - one[0])
    if end - start < MIN_SECONDS * avatar.fps or end - start == len(noisy):
        return avatar
    seconds = float((end - start) / avatar.fps)
    said = f"Live, only the {seconds:.0f} seconds in which the person hardly talks are played."
    warnings = (*avatar.report.warnings, said)
    report = replace(avatar.report, frames=end - start, warnings=warnings)
    return replace(avatar, frames=avatar.frames[start:end], report=report)


def _noisy(frames: Sequence[AvatarFrame]) -> list[bool]:
    """True for the frames in which the person talks or has no face."""
    noisy = [True] * len(frames)
    for shot in {frame.shot for frame in frames}:
        places, tracks = [], []
        for place, frame in enumerate(frames):
            if frame.shot == shot and frame.landmarks is not None:
                places.append(place)
                tracks.append(frame.landmarks)
        if tracks:
            for place, talks in zip(places, parted(tracks), strict=True):
                noisy[place] = bool(talks)
    return noisy


def _stretches(frames: Sequence[AvatarFrame], noisy: Sequence[bool]) -> list[tuple[int, int]]:
    """The quietest stretch, (start, end), of each shot: that with the greatest sum of values.

    A quiet frame counts 1, another -`TALKING_COST`; the sum is built up from left to right and
    begun anew where it falls below 0.
    """
    best: dict[int, tuple[int, tuple[int, int]]] = {}
    total, start = 0, 0
    for place, frame in enumerate(frames):
        if total < 0 or (place and frames[place - 1].shot != frame.shot):
            total, start = 0, place
        total += -TALKING_COST if noisy[place] else 1
        if total > best.get(frame.shot, (0, (0, 0)))[0]:
            best[frame.shot] = total, (start, place + 1)
    return [stretch for _, stretch in best.values()] or [(0, 0)]
