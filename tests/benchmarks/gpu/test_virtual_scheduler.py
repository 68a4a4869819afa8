"""The real scheduler on a virtual device: enough sessions, in virtual time, always the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.gpu.response_latency import percentile
from benchmarks.gpu.virtual_device import (
    CostModel,
    PipelinedDevice,
    VirtualClock,
    VirtualDevice,
)
from benchmarks.gpu.virtual_scheduler import (
    AVATAR,
    DEVICES,
    MIN_SHARE,
    VirtualCapacity,
    VirtualLoadResult,
    find_max,
    hold_frames,
    hold_sessions,
    run_schedule,
)
from lipstream.rendering.base import FrameRequest

SECONDS = 5.0
REQUESTS = [FrameRequest(AVATAR, index, None) for index in range(4)]


def nearly(device: CostModel) -> int:
    """The least number of sessions that is enough."""
    return next(n for n in range(1, 100) if n >= MIN_SHARE * device.sessions)


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_nine_tenths_of_a_device_are_used_by_live_sessions(device: CostModel) -> None:
    load = hold_sessions(device, nearly(device), SECONDS, True)
    assert load.held, load
    assert len(load.latencies) > 8 * SECONDS * nearly(device)  # of ten chunks a second and session


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: device.name)
def test_at_three_quarters_speech_is_drawn_soon(device: CostModel) -> None:
    load = hold_sessions(device, int(0.75 * device.sessions), SECONDS, True)
    tail = percentile(load.made_ms, 99)
    assert tail is not None and tail < 200


@pytest.mark.parametrize("device", DEVICES[1:], ids=lambda device: device.name)
def test_nine_tenths_of_a_device_are_used_by_frames_that_cannot_wait(device: CostModel) -> None:
    load = hold_frames(device, nearly(device), SECONDS, False)
    assert load.held, load


def test_beyond_the_ceiling_frames_are_late() -> None:
    device = DEVICES[0]
    assert not hold_frames(device, 6, SECONDS, False).held
    assert not hold_sessions(device, 6, SECONDS, False).held


def test_virtual_time_gives_the_same_answer_again() -> None:
    assert hold_frames(DEVICES[1], 17, 2, False) == hold_frames(DEVICES[1], 17, 2, False)


@pytest.mark.parametrize(("limit", "found"), [(0, 0), (1, 1), (7, 7), (12, 12), (50, 12)])
def test_the_largest_number_is_found_by_bisection(limit: int, found: int) -> None:
    assert find_max(lambda n: VirtualLoadResult(float(n > limit), 0.0, 0.0), 11.3)[0] == found


def test_a_device_takes_the_time_of_its_cost_model() -> None:
    clock = VirtualClock()
    device = VirtualDevice(CostModel("it", 2.5, 1.25, 4, host_ms=3.0, jitter=0.0), clock, seed=0)
    assert len(device.render(REQUESTS)) == 4
    assert clock.exact == 2.5 + 4 * 1.25 + 3.0
    first, second = device.launch(REQUESTS[:1]), device.launch(REQUESTS[:1])
    assert (first.ready_ms, second.ready_ms) == (10.5 + 3.75, 10.5 + 7.5)
    first.finish()
    assert clock.now_ms() == 14 and clock.exact == 14.25


def test_time_does_not_leave_out_a_millisecond() -> None:
    clock, seen = VirtualClock(), list[int]()
    clock.on_tick = seen.append
    clock.move_to(3.7)
    clock.move_to(2.0)
    clock.move_to(5.0)
    assert seen == [1, 2, 3, 4, 5] and clock.exact == 5.0


def test_the_processor_works_beside_a_pipelined_device() -> None:
    clock = VirtualClock()
    device = PipelinedDevice(CostModel("it", 2.5, 1.25, 4, host_ms=3.0, jitter=0.0), clock, seed=0)
    first = device.begin(REQUESTS)
    assert clock.exact == 3.0
    second = device.begin(REQUESTS)
    first.finish()
    assert clock.exact == 7.5
    second.finish()
    assert clock.exact == 15.0 == device.busy_ms


def test_a_row_says_whether_it_is_enough() -> None:
    row = VirtualCapacity(
        "it", "sessions", True, 20.0, 18, 0.0, 0.0, 4.0, 340.0, 400.0, 20.0, 30.0, 40.0, 35.0
    )
    assert row.enough and row.record()["share"] == 0.9
    assert not replace(row, sessions=17).enough
    assert replace(row, sessions=17, pipelined=False).enough


def test_there_is_a_row_for_every_load() -> None:
    rows = run_schedule(0.5, (CostModel("it", 2.0, 16.0, 2),))
    assert [(row.load, row.pipelined) for row in rows] == [
        ("frames", False),
        ("sessions", False),
        ("sessions", True),
    ]
    assert rows[0].delay_p50 is None and rows[1].delay_p50 is not None
