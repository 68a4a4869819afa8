"""The repository's own golden cases: what the published code gives, we give."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.golden_check import KINDS, unknown_kinds

pytest.importorskip("torch")

FOLDER = Path(__file__).parent / "golden"
CASES = sorted(path for kind in KINDS for path in (FOLDER / kind).glob("*.npz"))
LONG = ("e2e/", "whisper/whisper_", "unet/unet_tiny_seed401")  # a second or more of a processor


def case(path: Path) -> object:
    name = f"{path.parent.name}/{path.stem}"
    return pytest.param(path, id=name, marks=[pytest.mark.slow] * name.startswith(LONG))


@pytest.mark.parametrize("path", [case(path) for path in CASES])
def test_a_recording_is_reproduced(path: Path) -> None:
    outcomes = importlib.import_module(f"tests.golden_cases.{path.parent.name}").check(path)
    assert outcomes
    assert [str(outcome) for outcome in outcomes if not outcome.passed] == []


def test_every_kind_has_a_case_and_no_kind_is_unknown() -> None:
    assert {path.parent.name for path in CASES} == set(KINDS)
    assert unknown_kinds(FOLDER) == []
