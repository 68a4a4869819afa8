"""The package for Pipecat: what Pipecat's list of community integrations asks of it."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PACKAGE = Path(__file__).resolve().parents[3] / "packages/pipecat-lipstream"


def test_it_has_what_the_list_asks_for() -> None:
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    tested = re.search(r"Tested with Pipecat v(\d+\.\d+\.\d+)", readme)
    pinned = Path(__file__).parents[2] / "integrations/requirements.txt"
    assert tested and f"=={tested[1]}" in pinned.read_text(encoding="utf-8")
    for heading in ("## Install", "## Use", "## Examples", "## Compatibility", "## Who"):
        assert heading in readme
    assert (PACKAGE / "LICENSE").read_text() == (PACKAGE.parents[1] / "LICENSE").read_text()
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "pipecat-lipstream" and project["license"] == "MIT"
    version = importlib.import_module("pipecat_lipstream").__version__
    assert f"## {version}" in (PACKAGE / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted((PACKAGE / "examples").glob("*.py")), ids=lambda p: p.name)
def test_examples_are_one_file_each(path: Path) -> None:
    names = {module.stem for module in path.parent.glob("*.py")}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & names
    assert path.name in (PACKAGE / "README.md").read_text(encoding="utf-8")


def test_the_wheel_holds_the_package_and_its_types(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(PACKAGE)).build(directory=str(tmp_path))
    files = set(zipfile.ZipFile(wheel).namelist())
    modules = {f"pipecat_lipstream/{path.name}" for path in (PACKAGE / "src").rglob("*.py")}
    assert modules | {"pipecat_lipstream/py.typed"} <= files
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_names_load_what_they_need_and_say_what_is_missing() -> None:
    package = importlib.import_module("pipecat_lipstream")
    with pytest.raises(AttributeError, match="no attribute 'Nobody'"):
        package.Nobody  # noqa: B018
    assert set(package.__all__) == set(package._MODULES)
