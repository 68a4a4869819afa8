"""The machine that a figure was measured on, and the versions of the software."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lipstream import __version__
from lipstream.server.admission import usable_cores

PACKAGES = ("torch", "triton", "numpy", "opencv-python-headless", "av")
GPU_FACTS = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.draw,temperature.gpu"


def describe_machine(packages: Sequence[str] = PACKAGES) -> dict[str, object]:
    """Facts that explain a figure, with the versions of `packages`; no names of people or hosts."""
    root = str(Path(__file__).resolve().parents[3])
    changed = _output("git", "-C", root, "status", "--porcelain", "--", "src") or ""
    return {
        "lipstream": __version__,
        "commit": _output("git", "-C", root, "rev-parse", "--short=12", "HEAD"),
        "changed files": len(changed.splitlines()),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": usable_cores(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def describe_gpu() -> dict[str, str] | None:
    """The driver's facts about the first GPU at this moment; None without one."""
    facts = _output("nvidia-smi", f"--query-gpu={GPU_FACTS}", "--format=csv,noheader")
    if not facts:
        return None
    return dict(zip(GPU_FACTS.split(","), facts.splitlines()[0].split(", "), strict=False))


def _output(*command: str) -> str | None:
    """The output of a program; None when it fails or is not installed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
