"""The leak gate catches what is planted, and nothing else."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from tests.leaks import LeakGate


@pytest.fixture(autouse=True)
def leak_gate() -> None:
    """Not the one of all tests: what is planted here would be caught by it too."""


def test_a_task_that_is_left_is_caught() -> None:
    async def forgetful() -> None:
        forgotten.append(asyncio.ensure_future(asyncio.Event().wait()))

    forgotten: list[asyncio.Future[bool]] = []
    with LeakGate() as gate:
        asyncio.run(forgetful())
    (line,) = gate.left()
    assert "task" in line and "Event.wait" in line


def test_a_task_that_is_just_ending_is_none() -> None:
    async def tidy() -> None:
        asyncio.ensure_future(asyncio.Event().wait()).cancel()

    with LeakGate() as gate:
        asyncio.run(tidy())
    assert gate.left() == []


def test_tasks_are_seen_when_the_test_fails() -> None:
    async def failing() -> None:
        forgotten.append(asyncio.ensure_future(asyncio.Event().wait()))
        raise ValueError("on purpose")

    forgotten: list[asyncio.Future[bool]] = []
    with LeakGate() as gate:
        try:
            asyncio.run(failing())
        except ValueError:
            pass
    assert len(gate.left()) == 1


def test_a_thread_that_is_left_is_caught() -> None:
    leave = threading.Event()
    with LeakGate() as gate:
        gate.patience_s = 0.01
        thread = threading.Thread(target=leave.wait, name="forgotten")
        thread.start()
    try:
        assert gate.left() == ["thread forgotten"]
    finally:
        leave.set()
        thread.join()
    assert gate.left() == []


def test_a_descriptor_that_is_left_is_caught() -> None:
    with LeakGate() as gate:
        ends = os.pipe()
    try:
        assert len(gate.left()) == 2 and "pipe" in gate.left()[0]
        assert gate.left(on_a_gpu=True) == []
    finally:
        for end in ends:
            os.close(end)
    assert gate.left() == []


def test_the_gate_is_back_to_what_it_was() -> None:
    before = asyncio.run
    with LeakGate():
        assert asyncio.run is not before
    assert asyncio.run is before
