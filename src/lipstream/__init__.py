"""lipstream: speech in, a talking face out."""

from __future__ import annotations

__version__ = "0.1.0"
