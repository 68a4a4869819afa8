"""Marks every test here as one of the benchmarks' own."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
ALWAYS = "test_readme.py"  # the README's table is checked in every run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents and item.path.name != ALWAYS:
            item.add_marker(pytest.mark.benchmarks)
