"""What a figure was measured on: commit, versions, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lipstream.server.capacity import usable_cores

__all__ = ["describe", "stolen_s", "usable_cores"]

PACKAGES = ("lipstream", "numpy", "opencv-python-headless", "av", "soxr")


def describe(root: Path) -> dict[str, object]:
    """Facts that explain a figure; no names of people or hosts."""
    return {
        "commit": _git(root, "rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_git(root, "status", "--porcelain", "--", "src").splitlines()),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": usable_cores(),
        "load_before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }


def stolen_s() -> float:
    """Seconds that the host has given to others while this machine had work, as Linux tells."""
    facts = Path("/proc/stat")
    return int(facts.read_text().split(maxsplit=9)[8]) / 100 if facts.exists() else 0.0


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


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
