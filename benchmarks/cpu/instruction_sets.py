"""The same speech and faces on processors with and without newer instructions.

    python -m benchmarks.cpu.instruction_sets [FACE ...]

OpenCV, numpy and OpenBLAS choose among implementations by the processor. Each face speaks in a
process of its own for each of `OLDER`, in which they are told to do without, and in one that is
not; printed are the largest differences. A prepared avatar is made once and used by all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
FACES = ("portrait.png", "portrait_closed.png", "painting.jpg", "idle.mp4")  # of examples/

Arrays = Mapping[str, NDArray[Any]]


def _numpy_features() -> str:
    config: Any = np.show_config(mode="dicts")
    return " ".join(config["SIMD Extensions"]["found"])


OLDER = {
    "OpenCV without AVX2": {"OPENCV_CPU_DISABLE": "AVX2,FMA3,AVX512-SKX"},
    "OpenCV with SSE3": {
        "OPENCV_CPU_DISABLE": "SSE4.1,SSE4.2,POPCNT,AVX,FP16,AVX2,FMA3,AVX512-SKX",
        "OPENCV_IPP": "disabled",
    },
    "numpy, BLAS basic": {
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": _numpy_features(),
    },
}
OLDER["all of it"] = OLDER["OpenCV with SSE3"] | OLDER["numpy, BLAS basic"]


@dataclass(frozen=True, slots=True)
class Differences:
    """The largest differences between two recordings."""

    times: bool
    articulation: float  # of a range of 1
    levels: int  # of 255, of any value of the pictures of one .avatar file
    share: float  # of these values that differ at all
    landmarks: float  # pixels, of a face that each has prepared
    own_mean: float  # levels of 255, of the worst frame of such a face


def recorded(face: Path, prepared: Path, environment: Mapping[str, str]) -> Arrays:
    """The arrays of `recorded_render` in a process with `environment`."""
    out = prepared.with_suffix(".npz")
    paths = map(str, (face, prepared, out))
    command = [sys.executable, "-m", "benchmarks.cpu.recorded_render", *paths]
    subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=True)
    with np.load(out) as arrays:
        return dict(arrays)


def compare(here: Arrays, there: Arrays) -> Differences:
    """Compare two recordings of one face."""
    pictures = np.abs(there["pictures"].astype(np.int16) - here["pictures"])
    own = np.abs(there["own_pictures"].astype(np.int16) - here["own_pictures"])
    return Differences(
        not np.array_equal(there["times_ms"], here["times_ms"]),
        float(np.abs(there["articulation"] - here["articulation"]).max()),
        int(pictures.max()),
        float((pictures > 0).mean()),
        float(np.abs(there["landmarks"] - here["landmarks"]).max()),
        float(own.mean((1, 2, 3)).max()),
    )


def main() -> None:
    """Print a row for each face and way of doing without."""
    faces = [Path(name) for name in sys.argv[1:]] or [ROOT / "examples" / name for name in FACES]
    print(f"{'':<42}" + "".join(f"{field.name:>14}" for field in fields(Differences)))
    for face in faces:
        with tempfile.TemporaryDirectory() as folder:
            prepared = Path(folder) / "face.avatar"
            here = recorded(face, prepared, {})
            for name, environment in OLDER.items():
                found = astuple(compare(here, recorded(face, prepared, environment)))
                print(f"{face.name:<22}{name:<20}" + "".join(f"{value:14.3g}" for value in found))


if __name__ == "__main__":
    main()
