"""How fast, how many and how exact: the figures behind every claim of speed."""

from __future__ import annotations
