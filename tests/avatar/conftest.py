"""The one face of the tests, found once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lipstream.avatar.face.finder import Face, FaceFinder
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig

if TYPE_CHECKING:
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
