"""Captions of utterances, by their time in the recording of the session."""

from __future__ import annotations

from lipstream.live.session.types import SessionEvent
from lipstream.media.captions import Caption
from lipstream.server.outputs import caption_log
from lipstream.server.outputs.caption_log import CaptionLog
from tests.server.fake_runtime import session_event


def caption(text: str, start: int, end: int | None, played_ms: int = 0) -> SessionEvent:
    return SessionEvent("caption", 1, played_ms, Caption(text, start, end), 24_000)


def test_a_caption_has_its_place_within_its_unit() -> None:
    log = CaptionLog()
    log.add(caption("one", 12_000, 24_000, played_ms=480), 100)
    (one,) = log.captions
    assert (one.start, one.end) == (100 * 1920 + 960, 100 * 1920 + 960 + 24_000)


def test_the_end_of_speech_ends_its_captions() -> None:
    log = CaptionLog()
    log.add(caption("said", 0, 960), 0)
    log.add(caption("cut off", 960, 48_000, played_ms=40), 1)
    log.add(caption("open", 1920, None, played_ms=80), 2)
    log.add(session_event("interrupted"), 3)
    log.add(session_event("ended", 2), 9)  # of which there were none
    assert [one.end for one in log.captions] == [1920, 4 * 1920, 4 * 1920]


def test_no_session_fills_the_memory() -> None:
    log = CaptionLog()
    log.captions = [Caption("x", 0)] * caption_log.MAX_CAPTIONS
    log.add(caption("one more", 0, None), 1)
    assert len(log.captions) == caption_log.MAX_CAPTIONS
