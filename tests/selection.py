"""Modules of which `-m` chooses no test are not even imported: some import for seconds."""

from __future__ import annotations

import functools
import re
from pathlib import Path

TESTS = Path(__file__).parent
TERM = re.compile(r"(not )?(\w+)")
MARK = re.compile(r"pytest\.mark\.(\w+)")
OF_MODULE = re.compile(r"^pytestmark = (\[.*?\]|[^\[].*?$)", re.MULTILINE | re.DOTALL)


def is_left_out(module: Path, expression: str) -> bool:
    """Tell that by its text a module has no test of `expression`: marks, some after `not`, joined
    by `and`. Of any other expression nothing is told.

    For "agents and not gpu", one that nowhere says `pytest.mark.agents`, nor does a conftest.py
    above it, is left out, and so is one whose `pytestmark` has gpu.
    """
    terms = [TERM.fullmatch(term) for term in expression.split(" and ")]
    names = [(term[2], term[1] is None) for term in terms if term is not None]
    if len(names) < len(terms):
        return False
    text = module.read_text("utf-8")
    above = (folder for folder in module.parents if folder.is_relative_to(TESTS))
    possible = set(MARK.findall(text)).union(*map(_marks_of_conftest, above))
    certain = {mark for given in OF_MODULE.findall(text) for mark in MARK.findall(given)}
    return any(name not in possible if wanted else name in certain for name, wanted in names)


@functools.cache
def _marks_of_conftest(folder: Path) -> frozenset[str]:
    path = folder / "conftest.py"
    return frozenset(MARK.findall(path.read_text("utf-8")) if path.exists() else ())
