"""The public names: one list, each of them there, and nothing loaded before it is used."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

import lipstream


def declared() -> dict[str, tuple[str, str]]:
    """What type checkers see: public name -> (module, name in it)."""
    tree = ast.parse(Path(lipstream.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block.body)
    return {
        alias.asname or "": (str(node.module), alias.name)
        for node in imports
        for alias in node.names
    }


def test_the_lists_of_names_agree() -> None:
    assert lipstream.__all__ == sorted(lipstream._HOMES)
    assert {name: home for name, (home, _) in declared().items()} == lipstream._HOMES
    assert dir(lipstream) == sorted([*lipstream.__all__, "__version__"])


@pytest.mark.parametrize("name", lipstream.__all__)
def test_every_name_is_what_type_checkers_take_it_for(name: str) -> None:
    home, original = declared()[name]
    assert getattr(lipstream, name) is getattr(import_module(home), original)


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="module 'lipstream' has no attribute 'rendr'"):
        lipstream.rendr  # noqa: B018
    with pytest.raises(ImportError):
        exec("from lipstream import rendr")
