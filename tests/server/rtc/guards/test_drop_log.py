"""What is dropped is counted, and is never worth more log than it was itself."""

from __future__ import annotations

import logging

import pytest

from lipstream.live.clock import ManualClock
from lipstream.server.rtc.guards.drop_log import MIN_LINE_BYTES, DropLog


def test_a_cause_has_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    drops = DropLog(clock)
    for _ in range(90):  # a second each
        for _ in range(1000):
            drops.add("stranger", 24)
        drops.add("malformed", 2000)
        clock.advance(1000)
    told = [(vars(line)["cause"], vars(line)["packets"]) for line in caplog.records]
    first = -(-MIN_LINE_BYTES // 24)
    assert told == [
        ("stranger", first),
        ("malformed", 1),
        ("stranger", 60_000 - first + 1),
        ("malformed", 60),
    ]
    assert drops.totals == {"stranger": 90_000, "malformed": 90}


def test_a_little_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock = ManualClock()
    drops = DropLog(clock)
    for _ in range(MIN_LINE_BYTES // 24):
        drops.add("malformed", 24)
        clock.advance(60_000)
    assert not caplog.records and drops.totals["malformed"] == MIN_LINE_BYTES // 24
