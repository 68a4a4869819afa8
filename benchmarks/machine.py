"""The machine of a measurement, and the share of it that other guests took."""

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
    """Seconds of processor time that the host gave to other guests, as Linux reports them."""
    facts = Path("/proc/stat")
    return int(facts.read_text().split(maxsplit=9)[8]) / 100 if facts.exists() else 0.0
