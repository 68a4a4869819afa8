"""What a figure was measured on: versions, machine, device."""

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
ASKED = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.draw,temperature.gpu"


def describe_machine(packages: Sequence[str] = PACKAGES) -> dict[str, object]:
    """Facts that explain a figure, with the versions of `packages`; no names of people or hosts."""
    root = Path(__file__).resolve().parents[3]
    return {
        "lipstream": __version__,
        "commit": _said("git", "-C", str(root), "rev-parse", "--short=12", "HEAD"),
        "changed files": len(
            (_said("git", "-C", str(root), "status", "--porcelain", "--", "src") or "").splitlines()
        ),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": usable_cores(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def describe_gpu() -> dict[str, str] | None:
    """What the driver tells of the first GPU at this moment; None without one that can be asked."""
    told = _said("nvidia-smi", f"--query-gpu={ASKED}", "--format=csv,noheader")
    if not told:
        return None
    values = told.splitlines()[0].split(", ")
    return dict(zip(ASKED.split(","), values, strict=False))


def _said(*command: str) -> str | None:
    """What a program prints; None when it fails or is not there."""
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
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
