"""Chunks and the frames they make possible: their pairs, and the time between them."""

from __future__ import annotations

import pytest

from benchmarks.gpu.response_latency import Latency, LatencyTracker, percentile
from lipstream.speech.base import Plan


def test_a_latency_ends_with_the_last_frame_that_a_chunk_makes_possible() -> None:
    """Frames of 40 ms, chunks of 100 ms, no look-ahead: two frames, then three, then two."""
    tracker = LatencyTracker(Plan(0, 1, 0), 100)
    for now in (0, 100, 200):
        tracker.push(now)
    for frame in range(6):
        tracker.show((10 * frame + 300, 10 * frame + 305))
    assert tracker.latencies == [Latency(310, 315), Latency(240, 245)]


@pytest.mark.parametrize(
    ("step", "future_ms", "chunks"),
    [
        (1, 0, [0, 0, 1, 1, 1, 2]),
        (1, 80, [1, 1, 1, 2, 2, 3]),
        (2, 80, [1, 1, 2, 2, 3, 3]),  # both frames of a segment wait for its end
    ],
)
def test_a_frame_needs_its_segment_and_what_comes_after(
    step: int, future_ms: int, chunks: list[int]
) -> None:
    tracker = LatencyTracker(Plan(0, step, 16 * future_ms), 100)
    assert [tracker._chunk_of(frame) for frame in range(6)] == chunks


def test_packets_that_make_no_frame_possible_have_no_latency() -> None:
    tracker = LatencyTracker(Plan(0, 1, 0), 20)
    for packet in range(8):
        tracker.push(20 * packet)
    for frame in range(4):
        tracker.show((40 * frame + 25, 40 * frame + 30))
    # The second packet completes the first frame, the fourth the second one.
    assert tracker.latencies == [Latency(5, 10)] * 3


def test_frames_that_were_not_drawn_have_no_latency() -> None:
    tracker = LatencyTracker(Plan(0, 1, 0), 40)
    for now in (0, 40, 80):
        tracker.push(now)
    for interval in (None, (50, 60), (90, 99)):
        tracker.show(interval)
    assert tracker.latencies == [Latency(10, 20)]


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile([], 50) is None
    assert percentile([1, 2, 3], 50) == 2
