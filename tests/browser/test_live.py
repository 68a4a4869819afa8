"""A viewer's live figures, measured in a real browser. They go to build/browser.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium
from tests.browser.conftest import PORTRAIT
from tests.browser.figures import Bound
from tests.browser.live_run import BEEPS, LiveFigures, measure_live
from tests.browser.server_process import ServerProcess, start_server
from tests.timed import Measurement, judge, measure_until

FILE = Path(__file__).resolve().parents[2] / "build" / "browser.json"
MARKER, MUSETALK = "marker", "tiny musetalk"

pytestmark = [pytest.mark.slow, pytest.mark.alone]


# The networks take the better part of a minute of both cores.
BACKENDS = (MARKER, pytest.param(MUSETALK, marks=pytest.mark.full))
# Every test is one figure of the same run.
FIGURES = [
    pytest.param(backend, one.name, marks=[pytest.mark.full] if backend == MUSETALK else [])
    for backend in (MARKER, MUSETALK)
    for one in LiveFigures().bounds()
]


@pytest.fixture(scope="module")
def measured() -> dict[str, list[Measurement[LiveFigures]]]:
    """The runs so far, by backend."""
    return {}


@pytest.fixture(params=BACKENDS)
def runs(
    request: pytest.FixtureRequest,
    measured: dict[str, list[Measurement[LiveFigures]]],
    tmp_path: Path,
    chromium: Chromium,
    server: ServerProcess,
) -> list[Measurement[LiveFigures]]:
    """Whole runs with a backend, until one keeps all bounds."""
    backend: str = request.param

    def measure(server: ServerProcess) -> None:
        measured[backend] = measure_until(
            lambda: chromium.run(measure_live(chromium.browser, server)),
            lambda figures: all(bound.passed for bound in figures.bounds()),
        )

    if backend in measured:
        return measured[backend]
    if backend == MARKER:
        measure(server)
    else:
        pytest.importorskip("torch")
        from tests.tiny_models import LIVE, write_models

        models = write_models(tmp_path / "models", sizes=LIVE)
        with start_server("--musetalk", str(models), f"face={PORTRAIT}") as musetalk:
            measure(musetalk)
    _save(backend, measured[backend])
    return measured[backend]


def _save(backend: str, runs: list[Measurement[LiveFigures]]) -> None:
    figures = [{"stolen": run.stolen, **run.value.to_json()} for run in runs]
    FILE.parent.mkdir(exist_ok=True)
    saved = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps({**saved, backend: figures}, indent=1) + "\n")


@pytest.fixture
def last(runs: list[Measurement[LiveFigures]]) -> LiveFigures:
    """The figures of the last run."""
    return runs[-1].value


@pytest.mark.parametrize(("runs", "name"), FIGURES, indirect=["runs"])
def test_a_viewer_gets_what_is_promised(runs: list[Measurement[LiveFigures]], name: str) -> None:
    (bound,) = (bound for bound in runs[-1].value.bounds() if bound.name == name)
    judge(bound.passed, runs, bound)


def test_speech_is_shown_and_played_on_any_machine(runs: list[Measurement[LiveFigures]]) -> None:
    assert max(min(run.value.openings, run.value.sounds) for run in runs) >= BEEPS / 3


def test_no_frame_is_shown_after_a_later_one(runs: list[Measurement[LiveFigures]]) -> None:
    assert [run.value.backward for run in runs] == [0] * len(runs)


def test_the_microphone_moves_the_mouth(runs: list[Measurement[LiveFigures]]) -> None:
    assert any(run.value.microphone_moved for run in runs)


def test_a_broken_connection_comes_back_and_speaks(runs: list[Measurement[LiveFigures]]) -> None:
    assert any(run.value.reconnected < 10_000 and run.value.spoke_after_reconnect for run in runs)


def test_nothing_is_left_on_the_server(last: LiveFigures) -> None:
    assert last.sessions_left == 0
    assert last.resources_after == last.resources_before


def test_the_page_has_no_errors(last: LiveFigures) -> None:
    assert last.errors == []


def test_a_bound_needs_a_figure() -> None:
    assert not Bound("nothing measured", float("nan"), -1, 1).passed
