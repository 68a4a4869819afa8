"""The one face of the tests, found once, and the avatars made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lipstream.avatar.builder import build_avatar
from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.avatar.storage import save_avatar
from lipstream.config import AvatarConfig
from tests.avatar.archives import MUSETALK
from tests.avatar.scenes import covered, write_clip

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.media.image import Image

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="session")
def portrait_path() -> Path:
    return DATA / "portrait.png"


@pytest.fixture(scope="session")
def portrait(portrait_path: Path) -> Image:
    """(256, 256, 3): one smiling face, 75 pixels between the eyes."""
    image = read_picture(portrait_path, AvatarConfig())
    image.flags.writeable = False
    return image


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="session")
def face(finder: FaceFinder, portrait: Image) -> Face:
    return finder.find(portrait)[0]


@pytest.fixture(scope="session")
def still(portrait_path: Path) -> Avatar:
    return build_avatar(portrait_path)


@pytest.fixture(scope="session")
def moving(portrait: Image, tmp_path_factory: pytest.TempPathFactory) -> Avatar:
    """Eighteen frames, the last seven without a face; prepared for musetalk."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    frames = [*[portrait] * 11, *[covered(portrait)] * 7]
    return replace(build_avatar(write_clip(path, frames)), extras={"musetalk": MUSETALK})


@pytest.fixture
def saved(moving: Avatar, tmp_path: Path) -> Path:
    path = tmp_path / "anna.avatar"
    save_avatar(moving, path)
    return path
