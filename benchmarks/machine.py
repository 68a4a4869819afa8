"""What a figure was measured on, and how much of that machine was there."""

from __future__ import annotations

from pathlib import Path

from lipstream.bench.machine import describe_machine
from lipstream.server.admission import usable_cores

__all__ = ["describe", "stolen_s", "usable_cores"]

PACKAGES = ("lipstream", "numpy", "opencv-python-headless", "av", "soxr")


def describe() -> dict[str, object]:
    """Facts that explain a figure; no names of people or hosts."""
    return describe_machine(PACKAGES)


def stolen_s() -> float:
    """Seconds that the host has given to others while this machine had work, as Linux tells."""
    facts = Path("/proc/stat")
    return int(facts.read_text().split(maxsplit=9)[8]) / 100 if facts.exists() else 0.0
