"""The cost of sending is measured with real packets."""

from __future__ import annotations

from lipstream.server.rtc.sending_cost import sending_ms


def test_a_second_of_media_is_encrypted_and_sent() -> None:
    """A millisecond or so; what matters is that it is neither nothing nor the second itself."""
    assert 0.05 < sending_ms(1_500_000) < 40
