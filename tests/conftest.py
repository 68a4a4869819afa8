"""Settings of all tests."""

from __future__ import annotations

import atexit
import gc
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.leaks import LeakGate
from tests.selection import is_left_out
from tests.shortcuts import shortcuts
from tests.through_front import THROUGH_FRONT, left_out

# A shell starts what it runs behind it with interrupts ignored, and some tests wait for one.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Machines differ in speed; a test judges results, never time.
settings.register_profile("lipstream", deadline=None, derandomize=True)
settings.load_profile("lipstream")
GARBAGE = 20_000  # new objects between two collections: the default of 700 is for small programs


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Have the garbage collector leave out what collecting the tests makes and imports.

    That stays, and is so much that each full collection would take a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # libraries complain of objects that are left at the very end
        gc.set_threshold(GARBAGE)
        gc.enable()


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out modules of which no test is chosen."""
    if not collection_path.match("test_*.py"):
        return None
    return is_left_out(collection_path, config.option.markexpr) or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out some tests where they go through a front."""
    if THROUGH_FRONT:
        outside = [item for item in items if left_out(item.nodeid)]
        config.hook.pytest_deselected(items=outside)
        items[:] = [item for item in items if not left_out(item.nodeid)]


@pytest.fixture(autouse=True)
def leak_gate(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test fails on a task, a thread or a file descriptor that it leaves behind."""
    with LeakGate() as gate:
        yield
    native = any(request.node.get_closest_marker(marker) for marker in ("gpu", "agents"))
    left = gate.left(native)
    assert not left, f"the test leaves behind: {'; '.join(left)}"


@pytest.fixture(scope="session", autouse=True)
def quick_libraries() -> Iterator[None]:
    """Other libraries do what they do without delay."""
    with shortcuts():
        yield


@pytest.fixture(scope="session")
def models() -> Path:
    """A complete folder of MuseTalk weights: small ones that learnt to speak. Not to be changed."""
    pytest.importorskip("torch")
    return Path(__file__).parents[1] / "examples" / "tiny"
