"""The leak gate reports what a test leaves open, and nothing else."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from tests.leaks import LeakGate


@pytest.fixture(autouse=True)
def leak_gate() -> None:
    """Replace the gate of all tests: it would report the leaks made here."""


def test_a_task_that_is_left_is_reported() -> None:
    async def leaking() -> None:
        leaked.append(asyncio.ensure_future(asyncio.Event().wait()))

    leaked: list[asyncio.Future[bool]] = []
    with LeakGate() as gate:
        asyncio.run(leaking())
    (line,) = gate.left()
    assert "task" in line and "Event.wait" in line


def test_a_task_that_is_just_ending_is_not_reported() -> None:
    async def ending() -> None:
        asyncio.ensure_future(asyncio.Event().wait()).cancel()

    with LeakGate() as gate:
        asyncio.run(ending())
    assert gate.left() == []


def test_tasks_are_reported_when_the_test_fails() -> None:
    async def failing() -> None:
        leaked.append(asyncio.ensure_future(asyncio.Event().wait()))
        raise ValueError("on purpose")

    leaked: list[asyncio.Future[bool]] = []
    with LeakGate() as gate:
        try:
            asyncio.run(failing())
        except ValueError:
            pass
    assert len(gate.left()) == 1


def test_a_thread_that_is_left_is_reported() -> None:
    release = threading.Event()
    with LeakGate() as gate:
        gate.timeout_s = 0.01
        thread = threading.Thread(target=release.wait, name="leaked")
        thread.start()
    try:
        assert gate.left() == ["thread leaked"]
    finally:
        release.set()
        thread.join()
    assert gate.left() == []


def test_a_descriptor_that_is_left_is_reported() -> None:
    with LeakGate() as gate:
        gate.timeout_s = 0.01
        ends = os.pipe()
    try:
        assert len(gate.left()) == 2 and "pipe" in gate.left()[0]
        assert gate.left(native=True) == []
    finally:
        for end in ends:
            os.close(end)
    assert gate.left() == []


def test_the_gate_is_back_to_what_it_was() -> None:
    before = asyncio.run
    with LeakGate():
        assert asyncio.run is not before
    assert asyncio.run is before
