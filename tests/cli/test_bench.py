"""`lipstream bench`: tables, a report, a plot, and one sentence for what is wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lipstream.bench import run
from lipstream.bench.run import PARTS
from lipstream.bench.schedule import Sustained
from lipstream.cli import bench
from tests.cli.program import Program, sentence_in

ROW = Sustained(
    "it", "sessions", True, 20.0, 19, 0.0, 0.001, 4.0, 340.0, 400.0, 20.0, 30.0, 40.0, 35.0
)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run_schedule", lambda seconds, devices: [ROW])


def test_the_parts_are_those_of_the_benchmark() -> None:
    assert bench.PARTS == PARTS


@pytest.mark.usefixtures("fast")
def test_tables_are_printed_and_a_report_is_written(program: Program) -> None:
    done = program.done("bench", "--part", "schedule", "--out", "results")
    assert "imaginary device" in done.out and "[schedule: 0 s]" in done.out
    assert done.err == ""
    found = json.loads(Path("results/bench.json").read_text())
    assert found["parts"]["schedule"] == [ROW.record()]
    Path("results/bench.png").unlink()
    assert "written: " in program.done("bench", "--plot", "results/bench.json").out
    assert Path("results/bench.png").exists()


def test_what_is_found_wanting_is_told(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(ROW, sessions=5)
    monkeypatch.setattr(run, "run_schedule", lambda seconds, devices: [few])
    outcome = program.call("bench", "--part", "schedule")
    assert outcome.status == 1
    assert sentence_in(outcome.err) == "the scheduler holds 5 sessions of 20.0 that 'it' could."


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (("--part", "speed"), "--part: .*'speed'.*; see `lipstream bench --help`."),
        (("--batches", "1,x"), "--batches: '1,x' is no list of numbers; write 1,8,32."),
        (("--batches", ""), "--batches: '' is no list of numbers; write 1,8,32."),
        (("--seconds", "0"), "--seconds: .*; see `lipstream bench --help`."),
        (("--part", "ceilings", "--batches", "99"), "batches must lie between 1 and 32."),
        (("--device", "abacus"), "there is no device 'abacus'; use cuda or cpu."),
    ],
)
def test_a_wrong_call_is_refused(program: Program, call: tuple[str, ...], sentence: str) -> None:
    pytest.importorskip("torch", reason="devices are torch's")
    assert re.fullmatch(sentence, program.refused("bench", *call, status=2))


def test_a_report_that_is_none_is_refused(program: Program) -> None:
    sentence = program.refused("bench", "--plot", "none.json")
    assert sentence == (
        "none.json cannot be read: no such file or directory; name a report of a run."
    )
