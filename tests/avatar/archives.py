"""The entries of an .avatar file, and the arrays of a backend to keep in one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TypeAlias

import numpy as np

from lipstream.avatar.avatar import join_ragged

Entries: TypeAlias = dict[str, bytes]

MASKS = [np.full((2, 3), 7, np.uint8), np.full((4, 1), 9, np.uint8)]
MUSETALK = {
    "face_latent": np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
    **join_ragged("mask", MASKS),
    "settings": np.array("{}"),
}


def read_entries(path: Path) -> Entries:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def write_entries(path: Path, entries: Entries) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
