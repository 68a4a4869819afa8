"""`lipstream doctor` finds what is there and says how to get what is not."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from lipstream.avatar import network
from lipstream.cli import doctor
from tests.cli.program import Program

NAMES = [*doctor.PACKAGES, "face models", "articulation network", "video encoder"]


def test_all_is_well_here(program: Program) -> None:
    done = program.done("doctor")
    assert [line.split(":")[0] for line in done.out.splitlines()] == [f"ok  {n}" for n in NAMES]
    assert done.err == ""


def test_programs_can_read_the_findings(program: Program) -> None:
    findings = json.loads(program.done("doctor", "--json").out)
    assert [finding["name"] for finding in findings] == NAMES
    assert all(finding["works"] and finding["detail"] for finding in findings)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_missing_face_model_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setattr(network, "FOLDER", tmp_path)
    outcome = program.call("doctor", *flags)
    assert (outcome.status, outcome.err) == (1, "")
    assert "face model" in outcome.out and "is missing: reinstall lipstream" in outcome.out
    if not flags:
        (line,) = [line for line in outcome.out.splitlines() if not line.startswith("ok  ")]
        assert line.startswith("NO  face models: ")
    else:
        assert [f["name"] for f in json.loads(outcome.out) if not f["works"]] == ["face models"]


def test_a_missing_network_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipstream.speech.articulation.files", lambda package: tmp_path)
    outcome = program.call("doctor")
    assert outcome.status == 1
    assert "NO  articulation network: " in outcome.out and "articulation.npz" in outcome.out


def test_a_missing_encoder_is_found(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.codecs_available", {"aac"})
    outcome = program.call("doctor")
    assert outcome.status == 1
    assert "NO  video encoder: this build of PyAV has no libx264; install" in outcome.out


def test_a_missing_package_is_found(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "soxr":
            raise PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(doctor, "version", version)
    outcome = program.call("doctor")
    assert outcome.status == 1
    assert "NO  soxr: not installed; run `pip install soxr`.\n" in outcome.out


def test_a_missing_face_model_stops_a_render_in_words(
    program: Program,
    portrait: Path,
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "FOLDER", tmp_path)
    assert "is missing: reinstall lipstream" in program.refused_render(portrait, speech)
