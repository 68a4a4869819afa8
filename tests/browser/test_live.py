"""What a viewer gets, measured in a real browser. Figures go to build/browser.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.figures import Check
from tests.browser.live import Run, run_live
from tests.browser.service import Service
from tests.browser.stage import Stage
from tests.timed import Take, judge, take_until

ARTEFACT = Path(__file__).resolve().parents[2] / "build" / "browser.json"
# Every test is one figure of the same run.
BOUNDS = [check.name for check in Run().checks()]

pytestmark = [pytest.mark.slow, pytest.mark.alone]


@pytest.fixture(scope="module")
def takes(stage: Stage, service: Service) -> list[Take[Run]]:
    """Whole runs, until one keeps all bounds."""
    takes = take_until(lambda: stage.run(run_live(stage.browser, service)), lambda run: run.passed)
    ARTEFACT.parent.mkdir(exist_ok=True)
    figures = [{"stolen": take.stolen, **take.found.artefact()} for take in takes]
    ARTEFACT.write_text(json.dumps(figures, indent=1) + "\n")
    return takes


@pytest.fixture(scope="module")
def run(takes: list[Take[Run]]) -> Run:
    return takes[-1].found


@pytest.mark.parametrize("name", BOUNDS)
def test_a_viewer_gets_what_is_promised(takes: list[Take[Run]], name: str) -> None:
    (check,) = (check for check in takes[-1].found.checks() if check.name == name)
    judge(check.passed, takes, check)


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
