"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# Machines differ in speed; a test judges results, never time.
settings.register_profile("lipstream", deadline=None, derandomize=True)
settings.load_profile("lipstream")
