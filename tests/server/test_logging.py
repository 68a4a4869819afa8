"""What the log of the server keeps and leaves out."""

from __future__ import annotations

import logging

import pytest

from lipstream.server.logging import MAX_CAUSES, LibraryThrottle, logging_to_stderr


def record(name: str, message: str, second: float) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, message, None, None)
    made.created = second
    return made


def test_a_library_says_the_same_once_a_minute() -> None:
    throttle = LibraryThrottle()
    said = [throttle.filter(record("uvicorn.error", "Invalid HTTP.", n / 10)) for n in range(1_300)]
    assert [n for n, passed in enumerate(said) if passed] == [0, 600, 1_200]
    last = record("uvicorn.error", "Invalid HTTP.", 200)
    assert throttle.filter(last) and vars(last)["omitted"] == 99
    assert throttle.filter(record("aioice.ice", "Invalid HTTP.", 200))
    said = [throttle.filter(record("asyncio", f"<Task at 0x{n:x}>", 0)) for n in range(9)]
    assert said == [True] + 8 * [False]


def test_what_is_remembered_is_bounded() -> None:
    throttle = LibraryThrottle()
    for n in range(1_000):
        assert throttle.filter(record("asyncio", "cause " + n * "a", 1))
    assert len(throttle._causes) == MAX_CAUSES


def test_our_own_events_are_all_kept(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_stderr("text"):
        for _ in range(3):
            logging.getLogger("lipstream.server").info("session opened")
            logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert len(capsys.readouterr().err.splitlines()) == 4
