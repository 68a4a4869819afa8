"""The bit rate follows what the viewer reports."""

from __future__ import annotations

from lipstream.server.rtc.bitrate import BitrateTarget


def test_the_lowest_estimate_counts() -> None:
    target = BitrateTarget(1_000_000, 100_000)
    assert target.value == 1_000_000
    target.estimated(600_000)
    assert target.value == 600_000
    target.estimated(5_000_000)
    assert target.value == 1_000_000
    target.estimated(1)
    assert target.value == 100_000


def test_a_full_path_gets_less_and_recovers() -> None:
    target = BitrateTarget(1_000_000, 100_000)
    target.lost(0.2)
    assert target.value == 900_000
    for _ in range(60):
        target.lost(0.5)
    assert target.value == 100_000
    for _ in range(60):
        target.lost(0.0)
    assert target.value == 1_000_000


def test_a_path_that_always_loses_a_little_keeps_its_rate() -> None:
    target = BitrateTarget(1_000_000, 100_000)
    for _ in range(100):
        target.lost(0.05)
    assert target.value == 1_000_000
