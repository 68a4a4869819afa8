"""npm, and the package as it is before it is packed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ELEMENT = Path("src/lipstream/server/page/element")
QUIET = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")


def npm(folder: Path, *arguments: str) -> str:
    """Run npm in a folder; return what it prints. Skips the test where there is no npm."""
    return _run(folder, "npm", *arguments)


def install(folder: Path, *packages: str) -> None:
    """Install packages, or what the folder's own package.json names, without their scripts."""
    npm(folder, "install", *QUIET, *packages)


def copy_package(folder: Path) -> Path:
    """Copy the package's folder, beside the files that it takes, into `folder`."""
    for name in ("packages/npm", str(ELEMENT)):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "LICENSE", folder)
    return folder / "packages/npm"


def pack(package: Path) -> Path:
    """Pack a folder as npm publishes it."""
    return package / npm(package, "pack", "--silent").strip()


def bundle(esbuild: Path, folder: Path, source: str) -> bytes:
    """Bundle a module that imports packages of `folder`, for a browser."""
    entry = folder / "entry.js"
    entry.write_text(source)
    return _run(folder, str(esbuild), "--bundle", "--format=esm", entry.name).encode()


def _run(folder: Path, *command: str) -> str:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; scripts/install_clients brings npm")
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
