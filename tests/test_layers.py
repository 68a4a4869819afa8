"""Imports go downwards only and never in circles; what is heavy is loaded only where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import lipstream

SOURCE = Path(lipstream.__file__).parent

# A module belongs to the longest of these names that it begins with, and imports from its own
# layer and from those below.
LAYERS = {
    # values
    "errors": 0,
    "installation": 0,
    "config": 0,
    "timeline": 0,
    "media.audio": 0,
    "media.resampler": 0,
    "media.image": 0,
    # parts
    "live.clock": 1,
    "live.frame_buffer": 1,
    "media": 1,
    "weights": 1,
    "avatar": 1,
    "speech": 1,
    "rendering": 1,
    # flow
    "stream": 2,
    "engine": 2,
    "live.scheduler": 2,
    # use
    "live": 3,
    "clip_player": 3,
    "offline": 3,
    "score": 3,
    "compat": 3,
    "push": 3,
    # shell
    "server": 4,
    "integrations": 4,
    "bench": 4,
    # many servers
    "cluster": 5,
    "cli": 5,
    "": 5,  # the public names, and `python -m lipstream`
}
HEAVY = {"torch", "cv2", "av", "PIL", "onnxruntime", "aiortc", "fastapi", "scipy"}
VALUES = {"numpy", "soxr"}  # what the lowest layer may need besides the standard library
PLAIN = {"errors", "config", "timeline"}  # need nothing at all
TORCH = {
    "speech.musetalk",
    "rendering.musetalk",
    "score.syncnet.network",
    "bench.device_timing",
    "bench.published_loop",
}  # are built on it


def module_name(path: Path) -> str:
    """`media.audio` for src/lipstream/media/audio.py, `media` for its __init__.py."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def entry(name: str) -> str:
    """The entry of LAYERS a module belongs to."""
    parts = name.split(".")
    return next(
        known for n in range(len(parts), -1, -1) if (known := ".".join(parts[:n])) in LAYERS
    )


@cache
def imports(name: str, at_import: bool = False, types: bool = False) -> frozenset[str]:
    """Dotted names a module imports: when it is loaded, ever, or also for type checkers only."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(MODULES[name].read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not types:
            pending += node.orelse
        elif not (at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))):
            pending += ast.iter_child_nodes(node)
    return frozenset(found)


def own_modules(names: frozenset[str]) -> set[str]:
    """The modules of this package that imported names lead to."""
    found = set()
    for dotted in names:
        parts = dotted.split(".")
        if parts[0] != "lipstream":
            continue
        inside = [".".join(parts[1:n]) for n in range(len(parts), 1, -1)]
        found.add(next((one for one in inside if one in MODULES), ""))
    return found


def top(name: str) -> str:
    return name.split(".")[0]


def loaded_by(statement: str) -> set[str]:
    """Top-level packages in memory after a statement in a fresh interpreter."""
    command = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_nothing_is_imported_from_a_higher_layer() -> None:
    above = [
        f"{name} imports {target}"
        for name in MODULES
        for target in own_modules(imports(name) - {"lipstream.__version__"})
        if LAYERS[entry(target)] > LAYERS[entry(name)]
    ]
    assert not above


def test_every_module_has_a_layer() -> None:
    assert {name for name in MODULES if entry(name) == ""} <= {"", "__main__"}


def test_nothing_is_imported_in_circles() -> None:
    """Not even for types: a name that two modules need stands in a third."""
    graph = {name: own_modules(imports(name, types=True)) - {"", name} for name in MODULES if name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_values_need_nothing_heavy() -> None:
    for name in MODULES:
        found = {top(one) for one in imports(name)} - set(sys.stdlib_module_names) - {"lipstream"}
        if entry(name) in PLAIN:
            assert not found, f"{name} imports {found}"
        elif LAYERS[entry(name)] == 0:
            assert found <= VALUES, f"{name} imports {found}"


def test_torch_is_optional() -> None:
    """Outside what is built on it, torch is imported inside functions at most."""
    for name in MODULES:
        if not name.startswith(tuple(TORCH)):
            assert "torch" not in {top(one) for one in imports(name, at_import=True)}, name


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import lipstream") & (HEAVY | VALUES)


def test_settings_and_errors_load_without_numpy() -> None:
    statement = "import lipstream.errors, lipstream.config, lipstream.timeline"
    assert not loaded_by(statement) & (HEAVY | VALUES)
