"""House rules that a linter does not know."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import lipstream

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(lipstream.__file__).parent
OTHERS = [path for path in (ROOT / "packages").iterdir() if (path / "pyproject.toml").exists()]
SOURCES = sorted(path for folder in (PACKAGE, *OTHERS) for path in folder.rglob("*.py"))
OPENINGS = {"Who", "What", "Whether", "How", "Where", "When", "Why", "Which"}  # of no docstring
BOUNDS = re.compile(r"_?(MOST|LEAST)_")  # MAX_ and MIN_ are the words for it
MAX_MODULES = 15  # in one folder; more want sub-folders
MAX_LINES = 330


def definitions(path: Path) -> list[tuple[str, str]]:
    """Name and docstring of everything in a file that has one."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    found = [(getattr(node, "name", path.stem), ast.get_docstring(node)) for node in nodes]
    return [(name, text) for name, text in found if text]


def test_docstrings_begin_with_a_verb_or_an_article() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}: {text.splitlines()[0]}"
        for path in SOURCES
        for name, text in definitions(path)
        if re.split(r"\W", text)[0] in OPENINGS
    ]
    assert not wrong, "\n".join(wrong)


def test_bounds_are_called_max_and_min() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {node.id}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and BOUNDS.match(node.id)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_folder_needs_a_legend() -> None:
    folders = {path.parent for path in SOURCES}
    sizes = {str(folder.relative_to(ROOT)): len([*folder.glob("*.py")]) - 1 for folder in folders}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULES} == {}


def test_files_are_read_in_one_sitting() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCES
    }
    assert {name: n for name, n in lengths.items() if n > MAX_LINES} == {}
