"""The repository's own golden cases: what the published code gives, we give."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.golden_check import KINDS, unknown_kinds

pytest.importorskip("torch")

FOLDER = Path(__file__).parent / "golden"
CASES = sorted(path for kind in KINDS for path in (FOLDER / kind).glob("*.npz"))
LONG = {"e2e"}  # whole clips through the networks


def case(path: Path) -> object:
    marks = [pytest.mark.slow] if path.parent.name in LONG else []
    return pytest.param(path, id=f"{path.parent.name}/{path.stem}", marks=marks)


@pytest.mark.parametrize("path", [case(path) for path in CASES])
def test_a_recording_is_reproduced(path: Path) -> None:
    outcomes = importlib.import_module(f"tests.golden_cases.{path.parent.name}").check(path)
    assert outcomes
    assert [str(outcome) for outcome in outcomes if not outcome.passed] == []


def test_every_kind_has_a_case_and_no_kind_is_unknown() -> None:
    assert {path.parent.name for path in CASES} == set(KINDS)
    assert unknown_kinds(FOLDER) == []
