"""Events become messages that tell a client what it knows in its own terms."""

from __future__ import annotations

import pytest

from lipstream.live.session.types import SessionEvent
from lipstream.media.captions import Caption
from lipstream.server.api.audio_socket import RATES
from lipstream.server.api.socket_messages import CaptionEvent, message_of


@pytest.mark.parametrize("rate", RATES)
def test_the_times_of_captions_come_back_as_they_were_sent(rate: int) -> None:
    """Most milliseconds are no whole number of samples at 22,050 and 44,100 Hz."""
    for ms in (*range(100), 3_599_999):
        sample = ms * rate // 1000
        event = message_of(SessionEvent("caption", 1, 0, Caption("word", sample, sample), rate))
        assert isinstance(event, CaptionEvent) and (event.at_ms, event.until_ms) == (ms, ms)
