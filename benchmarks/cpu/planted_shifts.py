"""The findings of `lipstream score` in true videos with displaced or wrong sound, or a still mouth.

    python -m benchmarks.cpu.planted_shifts VIDEO ...

Each video is read once. A shift of one frame is a frame of that video. The wrong sounds are those
of `benchmarks/clips`, and the video's own backwards.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.clips import HERE, SYNTHESISED
from lipstream.media.audio_reader import open_audio
from lipstream.score.files import Scored, score_video
from lipstream.score.judgement import Score, judge
from lipstream.score.sound import Spoken, listen

SHIFTS = range(-5, 6)  # frames


def main() -> None:
    for name in sys.argv[1:]:
        scored = score_video(name)
        print(f"{Path(name).name}: {_figures(scored.score)}")
        for frames, error_ms, found in shifts(scored):
            print(f"  {frames:+d} frames: {_figures(found)}; off by {error_ms:+.1f} ms")
        for label, found in controls(scored):
            print(f"  {label}: {_figures(found)}")


def shifts(scored: Scored) -> Iterator[tuple[int, float, Score]]:
    """(frames that the lips are later, error of what is found in ms, the score)."""
    for frames in SHIFTS:
        late = frames / float(scored.mouth.fps)
        found = judge(scored.mouth, scored.spoken, scored.start - late)
        yield frames, found.offset_ms - scored.score.offset_ms - 1000 * late, found


def controls(scored: Scored) -> Iterator[tuple[str, Score]]:
    """Mouths that do not follow: of other sounds, and a frozen one."""
    for name in SYNTHESISED:
        with open_audio(HERE / "clips" / f"{name}.wav") as sound:
            other = listen(sound, sound.sample_rate)
        yield f"sound of {name}", judge(scored.mouth, other)
    yield "sound backwards", judge(scored.mouth, _backwards(scored.spoken))
    still = np.full_like(scored.mouth.openings, 0.02)
    frozen = replace(scored.mouth, openings=still)
    yield "mouth frozen", judge(frozen, scored.spoken, scored.start)


def _backwards(spoken: Spoken) -> Spoken:
    return Spoken(spoken.gap[::-1], spoken.close[::-1], spoken.loudness[::-1])


def _figures(score: Score) -> str:
    figures = f"{score.correlation:.2f} at {score.offset_ms:+.0f} ms, {score.confidence:.2f}"
    return f"{figures}, tint {score.tint:.1f}, sharpness {score.sharpness:.2f}: {score.verdict}"


if __name__ == "__main__":
    main()
