"""Imports go downwards only, and what is heavy is loaded only where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lipstream

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(lipstream.__file__).parent

# A module imports from its own layer and from those below; a folder is one entry.
LAYERS = {
    "errors": 0,
    "config": 0,
    "progress": 0,
    "timeline": 0,
    "audio": 0,
    "video": 0,
    "colour": 0,
    "playout": 1,
    "planes": 1,
    "container": 1,
    "weights": 1,
    "avatar": 1,
    "speech": 1,
    "rendering": 1,
    "stream": 2,
    "engine": 2,
    "batcher": 2,
    "session": 3,
    "offline": 3,
    "inference": 3,
    "realtime": 3,
    "server": 4,
    "bench": 4,
    "cli": 4,
    "__init__": 4,
    "__main__": 4,
}
HEAVY = {"torch", "cv2", "av", "PIL", "onnxruntime", "aiortc", "fastapi", "scipy"}
VALUES = {"numpy", "soxr"}  # what the lowest layer may need besides the standard library
PLAIN = {"errors", "config", "progress", "timeline"}  # need nothing at all

MODULES = sorted(SOURCE.rglob("*.py"))


def place(path: Path) -> str:
    """The entry of LAYERS a file belongs to."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imports(path: Path, at_import: bool = False) -> Iterator[str]:
    """Dotted names a file imports (`at_import`: when loaded), but not those only for types."""
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        elif not (at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            pending += ast.iter_child_nodes(node)


def top(name: str) -> str:
    return name.split(".")[0]


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement in a fresh interpreter."""
    command = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_is_imported_from_a_higher_layer(path: Path) -> None:
    assert place(path) in LAYERS, f"{path} has no layer yet; give it one here"
    for name in imports(path):
        if top(name) == "lipstream" and name != "lipstream.__version__":
            target = name.split(".")[1]
            assert LAYERS[target] <= LAYERS[place(path)], f"{path} imports {name} from above"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_values_need_nothing_heavy(path: Path) -> None:
    found = {top(name) for name in imports(path)} - set(sys.stdlib_module_names) - {"lipstream"}
    if place(path) in PLAIN:
        assert not found, f"{path} imports {found}"
    elif LAYERS[place(path)] == 0:
        assert found <= VALUES, f"{path} imports {found}"


def test_torch_is_optional() -> None:
    """Outside what is built on it or measures it, torch is imported inside functions at most."""
    for path in MODULES:
        if not {"musetalk", "speech", "bench"} & set(path.parts):
            assert "torch" not in {top(name) for name in imports(path, at_import=True)}, path


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import lipstream") & (HEAVY | VALUES)


def test_settings_and_errors_load_without_numpy() -> None:
    statement = "import lipstream.errors, lipstream.config, lipstream.timeline"
    assert not loaded_by(statement) & (HEAVY | VALUES)
