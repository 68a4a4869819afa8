"""Runs `worker` in a process of its own and reads what it drew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cpu.faces.performance import Performance
from lipstream.avatar.face import landmarks as lm

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image

WORKER = Path(__file__).with_name("worker.py")
SRC = Path(__file__).parents[3] / "src"
TIMEOUT = 1800  # seconds for one face


@dataclass(frozen=True, eq=False)
class Part:
    """Some frames of one face, cut to its surroundings; arrays on disk, read as needed."""

    frames: Image  # (n, height, width, 3)
    sources: Image  # (n or 1, height, width, 3): the avatar's own pictures
    inside: Image  # (n, height, width) 0 to 255: the share of the mouth's painted inside
    points: Floats  # (n, 468, 2) the avatar's landmarks in these pixels; nan: no face
    natural: Image  # (k, height, width, 3) the avatar's own most closed mouths
    natural_points: Floats  # (k, 468, 2)

    def source(self, index: int) -> Image:
        """The avatar's own picture at frame `index`."""
        return np.asarray(self.sources[min(index, len(self.sources) - 1)])

    def __len__(self) -> int:
        return len(self.frames)

    def seen(self) -> list[int]:
        """Indices of the frames with a face."""
        return [int(i) for i in np.flatnonzero(~np.isnan(self.points[:, 0, 0]))]


@dataclass(frozen=True, eq=False)
class Drawn:
    """All that one version drew of one face."""

    name: str
    folder: Path
    record: dict[str, Any]

    @property
    def refused(self) -> str | None:
        reason = self.record.get("refused")
        return None if reason is None else str(reason)

    @property
    def moving(self) -> bool:
        return bool(self.record["moving"])

    @cached_property
    def unit(self) -> float:
        """The median eye distance, pixels."""
        points = self.part("speech" if self.has("speech") else "poses").points
        return float(np.median([lm.eye_distance(one) for one in points if one[0, 0] == one[0, 0]]))

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.npy").exists()

    def part(self, name: str) -> Part:
        """The frames of one part of the performance."""

        def read(name: str) -> Any:
            return np.load(self.folder / f"{name}.npy", mmap_mode="r")

        natural = read("natural")
        return Part(
            read(name),
            read(f"{name}_source") if self.moving else natural,
            read(f"{name}_inside"),
            np.asarray(read(f"{name}_points")),
            natural,
            np.asarray(read("natural_points")),
        )


def draw(
    path: Path, performance: Performance, parts: Sequence[str], folder: Path, src: Path = SRC
) -> Drawn:
    """Have the version in `src` perform `parts` with the avatar in `path`, into `folder`."""
    folder.mkdir(parents=True)
    script = folder / "performance"
    performance.save(script, parts)
    done = subprocess.run(
        [sys.executable, str(WORKER), str(path), str(script), str(folder)],
        env={**os.environ, "PYTHONPATH": str(src)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{path.name} could not be drawn with {src}:\n{done.stderr[-2000:]}")
    return Drawn(path.stem, folder, json.loads((folder / "record.json").read_text()))
