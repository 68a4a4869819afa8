"""`lipstream bench`: tables, a report, and one sentence for a wrong call."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lipstream.bench import run, sessions
from lipstream.bench.machine import PACKAGES, describe_machine
from lipstream.bench.report import table, write_report
from lipstream.bench.run import find_portrait
from lipstream.errors import MissingError, OutputError
from tests.cli.program import Program

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"
FEW = ("--avatar", PORTRAIT, "--seconds", "0.5", "--max-sessions", "1", "--out", "results")


@pytest.fixture(autouse=True)
def one_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "REPEATS", 1)


@pytest.mark.full
def test_a_puppet_is_measured(program: Program) -> None:
    done = program.done("bench", "--backend", "puppet", *FEW)
    assert "backend: puppet (it was chosen)" in done.out and done.err == ""
    assert "sessions with less than 1 % of the frames late" in done.out
    found = json.loads(Path("results/bench.json").read_text())
    ours, alone = found["throughput"]
    assert ours["fps"] > 0 and ours["ratio"] == 1.0 and alone["name"] == "lipstream, this process"
    assert found["limit_fps"] > 0
    (tried, *_) = found["sessions"]["tried"]
    assert tried["sessions"] == 1 and tried["frames"] > 0


@pytest.mark.benchmarks
def test_musetalk_is_measured_beside_the_published_loop(
    program: Program, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch").set_num_threads(1)
    monkeypatch.setattr(run, "PUBLISHED_BATCHES", (2,))
    done = program.done(
        "bench", "--backend", "musetalk", "--models", models, "--device", "cpu", *FEW
    )
    assert "published loop, batch 2" in done.out
    found = json.loads(Path("results/bench.json").read_text())
    assert len(found["throughput"]) == 2
    assert "precision: float32" in done.out and found["precision"] == "float32"
    assert found["nonfinite_faces"] == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (("--backend", "speed"), "--backend: there is no backend 'speed'; use .*musetalk."),
        (("--seconds", "0"), "--seconds: .*; see `lipstream bench --help`."),
    ],
)
def test_a_wrong_call_is_refused(program: Program, call: tuple[str, ...], sentence: str) -> None:
    assert re.fullmatch(sentence, program.refused("bench", *call, status=2))


def test_a_portrait_is_given_or_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_portrait(PORTRAIT) == PORTRAIT
    assert find_portrait(None).name == "portrait.png"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lipstream.bench.run.__file__", str(tmp_path / "a" / "b" / "c" / "d.py"))
    with pytest.raises(MissingError, match="give one with --avatar"):
        find_portrait(None)


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="choose another --out"):
        write_report({}, tmp_path / "file")


def test_tables_are_straight() -> None:
    lines = list(table(("name", "ms"), [("a", 1.23456), ("long", 1234.5), ("x", None)]))
    assert lines == ["name    ms", "a     1.23", "long  1234", "x        -"]


def test_the_machine_is_described() -> None:
    found = describe_machine()
    assert found["cores"] and found["python"]
    assert set(found["packages"]) == set(PACKAGES)  # type: ignore[call-overload]
