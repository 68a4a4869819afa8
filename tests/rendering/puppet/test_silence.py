"""Only what a process could have used for its answer counts as its silence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lipstream.rendering.puppet.silence import MAX_STARVED_S, Silence

TICK_S = 0.1
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def silence_after(folder: Path, state: str, looks: int, share: float) -> Silence:
    """A process in `state` that had `share` of a core, after so many looks."""
    stat = folder / "stat"
    silence = Silence(stat)
    for look in range(1, looks + 1):
        used = round(look * share * TICK_S * TICKS)
        stat.write_text(f"7 (a) R b) {state} {' 0' * 10} {used} 0 0 0 20 0")
        silence.go_on(TICK_S)
    return silence


@pytest.mark.parametrize(
    ("state", "share", "counted_s"),
    [
        ("S", 0.0, 1.0),  # waits for something
        ("T", 0.0, 1.0),  # was stopped
        ("R", 1.0, 1.0),  # is busy with something else
        ("R", 0.0, 0.0),  # has not run at all
        ("R", 0.1, 0.1),  # shares its core with nine others
    ],
)
def test_time_without_a_processor_does_not_count(
    tmp_path: Path, state: str, share: float, counted_s: float
) -> None:
    assert silence_after(tmp_path, state, 10, share).seconds == pytest.approx(counted_s)


def test_a_process_that_never_runs_is_not_waited_for_forever(tmp_path: Path) -> None:
    silence = silence_after(tmp_path, "R", round(MAX_STARVED_S / TICK_S) + 10, 0.0)
    assert silence.seconds == pytest.approx(10 * TICK_S, abs=1.5 * TICK_S)


def test_an_answer_ends_it_and_what_was_forgiven(tmp_path: Path) -> None:
    silence = silence_after(tmp_path, "R", 60, 0.0)
    silence.end()
    assert silence.seconds == 0
    silence.go_on(TICK_S)
    assert silence.seconds == 0


def test_the_clock_counts_where_the_system_tells_nothing(tmp_path: Path) -> None:
    silence = Silence(tmp_path / "missing")
    silence.go_on(TICK_S)
    (tmp_path / "missing").write_text("nothing of the kind")
    silence.go_on(TICK_S)
    assert silence.seconds == pytest.approx(2 * TICK_S)
