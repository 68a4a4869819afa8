"""The cost of a session is measured with real packets and a real scheduler."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.engine import Engine
from lipstream.errors import LipstreamError
from lipstream.live.scheduler.scheduler import Scheduler
from lipstream.live.session.session import Session
from lipstream.media.audio import AudioChunk
from lipstream.server.rtc.encoders import H264Encoder
from lipstream.server.rtc.playing_cost import playing_ms
from tests.fakes import blank_avatar, stripe_backend
from tests.media_files import tone

pytestmark = pytest.mark.slow

AVATAR = blank_avatar(128, 128)
SPEECH = AudioChunk(np.asarray(tone(2.0, 16_000), np.float32), 16_000)


def test_a_second_of_a_session_is_encoded_encrypted_and_sent() -> None:
    """Milliseconds of a processor; neither nothing nor the second itself."""
    with Scheduler(Engine(stripe_backend())) as scheduler:
        loop, others = playing_ms(lambda: Session(AVATAR, scheduler), SPEECH, H264Encoder(500_000))
    assert 0.05 < loop < 39 and 0 < others < 39


def test_a_session_that_gives_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipstream.server.rtc.playing_cost.MAX_PLAY_S", 0.1)
    with Scheduler(Engine(stripe_backend())) as scheduler:
        with pytest.raises(LipstreamError, match="could not be played"):
            playing_ms(lambda: Session(AVATAR, scheduler), SPEECH, H264Encoder(500_000))
