"""Offers and fragments of viewers, up to the answer."""

from __future__ import annotations

from lipstream.server.rtc.interfaces import RestartError, SignallingError
from lipstream.server.rtc.sdp.answer import agree, answer
from lipstream.server.rtc.sdp.parse import read_fragment, usable
from tests.fuzz.targets import check_sentence
from tests.server.rtc.offers import PASSWORD, USERNAME
from tests.server.rtc.sdp.test_answer import LOCAL


def check(data: bytes) -> None:
    """Take `data` for an offer, and for a fragment of candidates."""
    text = data.decode("utf-8", "replace")
    try:
        agreement = agree(text, None, microphone=True)
        answer(agreement, LOCAL)
        candidates = [*agreement.text.candidates]
    except SignallingError as error:
        check_sentence(error)
        candidates = []
    try:
        candidates += read_fragment(text, USERNAME, PASSWORD)
    except (SignallingError, RestartError) as error:
        check_sentence(error)
    for candidate in candidates:
        usable(candidate, private=True)
        usable(candidate, private=False)
