"""The public names: one list, each of them available, and nothing loaded before it is used."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest
from mypy import api

import lipstream
from lipstream import config, errors


def declared() -> dict[str, str]:
    """The names that type checkers see, with their modules."""
    tree = ast.parse(Path(lipstream.__file__).read_text(encoding="utf-8"))
    block, hidden = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    assert ast.unparse(hidden.test) == "not TYPE_CHECKING"  # else every name would be accepted
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is None
    }


def test_exported_members() -> None:
    assert lipstream.__all__ == sorted(set(lipstream.__all__))
    assert dir(lipstream) == sorted([*lipstream.__all__, "__version__"])
    assert declared() == lipstream._MODULES
    assert set(declared()) == set(lipstream.__all__)


@pytest.mark.parametrize("name", lipstream.__all__)
def test_every_name_is_what_type_checkers_take_it_for(name: str) -> None:
    value = getattr(lipstream, name)
    assert value is getattr(import_module(declared()[name]), name)
    assert inspect.getdoc(value)


def test_every_error_and_every_setting_is_public() -> None:
    for module in (errors, config):
        for name, kind in inspect.getmembers(module, inspect.isclass):
            assert kind.__module__ != module.__name__ or name in lipstream.__all__, name


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="module 'lipstream' has no attribute 'rendr'"):
        getattr(lipstream, "rendr")  # noqa: B009
    with pytest.raises(ImportError):
        exec("from lipstream import rendr")


@pytest.mark.slow
def test_a_type_checker_rejects_a_name_that_does_not_exist(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import lipstream\nlipstream.render\nlipstream.open_engine\nlipstream.nope\n"
    )
    said, _, failed = api.run(["--strict", "--cache-dir", str(tmp_path), str(program)])
    assert failed and 'Module has no attribute "nope"' in said
    assert said.count("error:") == 1, said
