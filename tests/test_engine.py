"""The engine renders segments of any stream in any batch."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from lipstream.engine import Engine, Shown, open_engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.speech.base import Plan
from lipstream.stream import Segment
from tests.fakes import StripeRenderer, blank_avatar, read_stripes, stripe_backend

AVATAR = blank_avatar()


def segments_of(engine: Engine, samples: int, first_frame: int = 0) -> list[Segment]:
    stream = engine.open_stream(AVATAR, first_frame=first_frame)
    pcm = np.linspace(-1, 1, samples, dtype=np.float32)
    return stream.push(AudioChunk(pcm, 16_000)) + stream.end()


def test_frames_come_in_order_with_their_time() -> None:
    engine = Engine(stripe_backend(Plan(0, 3, 320)))
    frames = engine.render(segments_of(engine, 16_000))
    assert [read_stripes(timed.frame)[0] for timed in frames] == list(range(25))
    assert [timed.timestamp_ms for timed in frames] == [40 * index for index in range(25)]


def test_batch_equals_single() -> None:
    engine = Engine(stripe_backend(Plan(0, 2, 320)))
    segments = segments_of(engine, 9000) + segments_of(engine, 5000, first_frame=400)
    together = engine.render(segments)
    alone = [frame for segment in segments for frame in engine.render([segment])]
    assert len(together) == len(alone) == 14 + 7
    for one, other in zip(together, alone, strict=True):
        assert one.timestamp_ms == other.timestamp_ms
        assert np.array_equal(one.frame, other.frame)


def test_a_batch_of_several_streams_is_one_call_of_the_renderer() -> None:
    backend = stripe_backend(batch=8)
    engine = Engine(backend)
    engine.render(segments_of(engine, 1280) + segments_of(engine, 640))
    assert isinstance(backend.renderer, StripeRenderer)
    assert backend.renderer.batches == [3]


def test_a_long_segment_is_drawn_batch_by_batch() -> None:
    backend = stripe_backend(Plan(0, 100, 0), batch=4)
    engine = Engine(backend)
    frames = engine.flow([segments_of(engine, 10 * 640)])
    assert isinstance(backend.renderer, StripeRenderer)
    assert read_stripes(next(frames).frame)[0] == 0
    assert backend.renderer.batches == [4]
    assert len(list(frames)) == 9
    assert backend.renderer.batches == [4, 4, 2]


@pytest.mark.parametrize("batch", [1, 3, 4])
def test_two_pictures_of_a_frame_never_make_a_batch_too_large(batch: int) -> None:
    backend = stripe_backend(Plan(0, 100, 0), batch=batch)
    engine = Engine(backend)
    other = blank_avatar()

    def show(frame: int) -> tuple[Shown, Shown]:
        return Shown(AVATAR, frame), Shown(other, frame)

    frames = list(engine.flow([segments_of(engine, 6 * 640)], show))
    assert [read_stripes(timed.frame)[0] for timed in frames] == list(range(6))
    assert isinstance(backend.renderer, StripeRenderer)
    assert sum(backend.renderer.batches) == 12
    assert max(backend.renderer.batches) == batch


def test_nothing_to_render_gives_nothing() -> None:
    assert Engine(stripe_backend()).render([]) == []


def test_values_are_shown_in_one_short_line() -> None:
    engine = Engine(stripe_backend())
    (segment,) = segments_of(engine, 640)
    (timed,) = engine.render([segment])
    shown = [repr(one) for one in (engine, segment, timed, AVATAR, AVATAR.frames[0])]
    assert shown == [
        "Engine(stripes, 25 fps)",
        "Segment(first_frame=0, frame_count=1)",
        "TimedFrame(timestamp_ms=0)",
        "Avatar(16x16, frames=1, digest=blank)",
        "AvatarFrame(shot=0)",
    ]


def test_an_engine_closes_its_backend() -> None:
    closed: list[str] = []
    backend = replace(stripe_backend(), release=lambda: closed.append("closed"))
    with Engine(backend) as engine:
        assert engine.render([]) == [] and not closed
    assert closed == ["closed"]


def test_an_engine_is_opened_by_the_name_of_its_backend() -> None:
    with open_engine("puppet", fps=Fraction(30)) as engine:
        assert engine.backend.name == "puppet" and engine.fps == 30
    with pytest.raises(OptionError, match="there is no backend 'pupet'"):
        open_engine(backend="pupet")
