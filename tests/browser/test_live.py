"""What a viewer gets, measured in a real browser. Figures go to build/browser.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.figures import Check
from tests.browser.live import BEEPS, INTERRUPTS, Run, run_live
from tests.browser.service import Service
from tests.browser.stage import Stage

ARTEFACT = Path(__file__).resolve().parents[2] / "build" / "browser.json"
# Every test is one figure of the same run.
BOUNDS = [check.name for check in Run().checks()]

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def run(stage: Stage, service: Service) -> Run:
    """A run; repeated once as a whole when a busy machine missed a bound."""
    runs = [stage.run(run_live(stage.browser, service))]
    if not runs[0].passed:
        runs.append(stage.run(run_live(stage.browser, service)))
    ARTEFACT.parent.mkdir(exist_ok=True)
    ARTEFACT.write_text(json.dumps([run.artefact() for run in runs], indent=1) + "\n")
    return runs[-1]


@pytest.mark.parametrize("name", BOUNDS)
def test_a_viewer_gets_what_is_promised(run: Run, name: str) -> None:
    (check,) = (check for check in run.checks() if check.name == name)
    assert check.passed, f"{check}"


def test_nothing_said_is_lost(run: Run) -> None:
    assert len(run.seen_after) == len(run.heard_after) == BEEPS
    assert len(run.silent_after) == len(run.closed_after) == INTERRUPTS


def test_no_frame_is_shown_after_a_later_one(run: Run) -> None:
    assert run.backward == 0


def test_the_microphone_moves_the_mouth(run: Run) -> None:
    assert run.microphone_moved


def test_a_broken_connection_comes_back_and_speaks(run: Run) -> None:
    assert run.reconnected < 10_000
    assert run.spoke_again


def test_nothing_is_left_on_the_server(run: Run) -> None:
    assert run.sessions_left == 0
    assert run.after == run.before


def test_the_page_has_no_errors(run: Run) -> None:
    assert run.errors == []


def test_a_check_needs_a_figure() -> None:
    assert not Check("nothing measured", float("nan"), -1, 1).passed
