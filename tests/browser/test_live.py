"""What a viewer gets, measured in a real browser. Figures go to build/browser.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.conftest import AVATAR
from tests.browser.figures import Check
from tests.browser.live import BEEPS, Run, run_live
from tests.browser.service import Service, open_service
from tests.browser.stage import Stage
from tests.timed import Take, judge, take_until

ARTEFACT = Path(__file__).resolve().parents[2] / "build" / "browser.json"
BAR, MUSETALK = "bar", "tiny musetalk"

pytestmark = [pytest.mark.slow, pytest.mark.alone]


# Every test is one figure of the same run.
FIGURES = [(backend, one.name) for backend in (BAR, MUSETALK) for one in Run().checks()]


@pytest.fixture(scope="module")
def done() -> dict[str, list[Take[Run]]]:
    """What was measured so far, by backend."""
    return {}


@pytest.fixture(params=[BAR, MUSETALK])
def takes(
    request: pytest.FixtureRequest,
    done: dict[str, list[Take[Run]]],
    tmp_path: Path,
    stage: Stage,
    service: Service,
) -> list[Take[Run]]:
    """Whole runs with a backend, until one keeps all bounds."""
    backend: str = request.param

    def runs(service: Service) -> list[Take[Run]]:
        return take_until(
            lambda: stage.run(run_live(stage.browser, service)),
            lambda run: all(check.passed for check in run.checks()),
        )

    if backend in done:
        return done[backend]
    if backend == BAR:
        done[backend] = runs(service)
    else:
        pytest.importorskip("torch")
        from tests.tiny_models import LIVE, write_models

        models = write_models(tmp_path / "models", sizes=LIVE)
        with open_service("--musetalk", str(models), AVATAR) as painting:
            done[backend] = runs(painting)
    _keep(backend, done[backend])
    return done[backend]


def _keep(backend: str, takes: list[Take[Run]]) -> None:
    figures = [{"stolen": take.stolen, **take.found.artefact()} for take in takes]
    ARTEFACT.parent.mkdir(exist_ok=True)
    kept = json.loads(ARTEFACT.read_text()) if ARTEFACT.exists() else {}
    ARTEFACT.write_text(json.dumps({**kept, backend: figures}, indent=1) + "\n")


@pytest.fixture
def run(takes: list[Take[Run]]) -> Run:
    return takes[-1].found


@pytest.mark.parametrize(("takes", "name"), FIGURES, indirect=["takes"])
def test_a_viewer_gets_what_is_promised(takes: list[Take[Run]], name: str) -> None:
    (check,) = (check for check in takes[-1].found.checks() if check.name == name)
    judge(check.passed, takes, check)


def test_speech_is_seen_and_heard_on_any_machine(takes: list[Take[Run]]) -> None:
    assert max(min(take.found.openings, take.found.sounds) for take in takes) >= BEEPS / 3


def test_no_frame_is_shown_after_a_later_one(takes: list[Take[Run]]) -> None:
    assert [take.found.backward for take in takes] == [0] * len(takes)


def test_the_microphone_moves_the_mouth(takes: list[Take[Run]]) -> None:
    assert any(take.found.microphone_moved for take in takes)


def test_a_broken_connection_comes_back_and_speaks(takes: list[Take[Run]]) -> None:
    runs = [take.found for take in takes]
    assert any(run.reconnected < 10_000 and run.spoke_again for run in runs)


def test_nothing_is_left_on_the_server(run: Run) -> None:
    assert run.sessions_left == 0
    assert run.after == run.before


def test_the_page_has_no_errors(run: Run) -> None:
    assert run.errors == []


def test_a_check_needs_a_figure() -> None:
    assert not Check("nothing measured", float("nan"), -1, 1).passed
