"""What `-m` leaves out as a whole is told from a module's text, and never too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.selection import TESTS, is_left_out

SOME = """
@pytest.mark.slow
def test_one(): ...
"""
ALL = "pytestmark = [\n    pytest.mark.alone,\n    pytest.mark.skipif(not PATHS[0]),\n]\n"
ONE = "pytestmark = pytest.mark.load  # for minutes\n@pytest.mark.gpu\ndef test_one(): ...\n"


@pytest.mark.parametrize(
    ("text", "expression", "left_out"),
    [
        (SOME, "slow", False),
        (SOME, "not slow", False),
        (SOME, "alone and not gpu", True),
        (SOME, "alone or slow", False),
        (SOME, "not (alone and slow)", False),
        (SOME, "", False),
        (ALL, "alone and not gpu", False),
        (ALL, "not alone", True),
        (ALL, "not gpu", False),
        (ONE, "not load and not gpu", True),
        (ONE, "not gpu", False),
        ("pytestmark = pytest.mark.load\n" + SOME, "not slow", False),
    ],
)
def test_modules_without_a_chosen_test(
    tmp_path: Path, text: str, expression: str, left_out: bool
) -> None:
    module = tmp_path / "test_some.py"
    module.write_text(text)
    assert is_left_out(module, expression) is left_out


def test_marks_that_a_folder_gives_count() -> None:
    readme = TESTS / "benchmarks" / "test_readme.py"
    assert not is_left_out(readme, "benchmarks and not gpu")
    assert is_left_out(readme, "agents and not gpu")
