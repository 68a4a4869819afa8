"""The tree of errors is the one its docstring draws."""

from __future__ import annotations

import inspect

from lipstream import errors


def drawn() -> dict[str, str]:
    """Name of each class in the drawing -> name of its parent."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        name = line.lstrip(" │├└─").split(" ")[0]
        if not name.endswith("Error"):
            continue
        depth = line.index(name) // 4 - 1
        path = [*path[:depth], name]
        parents[name] = path[depth - 1] if depth else "Exception"
    return parents


def test_the_drawn_tree_is_the_class_tree() -> None:
    classes = inspect.getmembers(errors, inspect.isclass)
    assert drawn() == {name: kind.__bases__[0].__name__ for name, kind in classes}


def test_every_error_says_what_it_is_for() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert kind.__doc__, name
