"""How long work tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

# Called with what is done and, where it is known, with all there is to do.
Progress: TypeAlias = Callable[[int, "int | None"], None]
