"""The program, and good files to give to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from tests.avatar.scenes import write_clip
from tests.cli.program import Program, without_settings
from tests.media_files import tone, write_wav

if TYPE_CHECKING:
    from lipstream.media.image import Image

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"

Mount = Callable[[str], Path]


@pytest.fixture
def program(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Program:
    """In an empty folder, which is the current one."""
    without_settings(monkeypatch)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Program(capfd, folder)


@pytest.fixture(scope="session")
def portrait() -> Path:
    return PORTRAIT


@pytest.fixture(scope="session")
def image(portrait: Path) -> Image:
    """(256, 256, 3): the portrait."""
    return read_picture(portrait, AvatarConfig())


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames of sound."""
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    return write_wav(path, np.asarray(tone(0.2, 16_000) * 32767, np.int16), 16_000)


@pytest.fixture(scope="session")
def clip(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight frames of a face."""
    frames = [np.roll(image, shift, axis=1) for shift in (0, 0, 1, 1, 2, 2, 1, 1)]
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a disk in memory with the given options; skips where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mounted_with(options: str) -> Path:
        nonlocal mounted
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True)
        except FileNotFoundError:
            pytest.skip("needs mount")
        if done.returncode:
            pytest.skip("needs the right to mount a disk in memory")
        mounted = True
        return folder

    yield mounted_with
    if mounted:
        subprocess.run(["umount", str(folder)], check=True)
