"""The one face of the mouth's tests, found once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from tests.rendering.puppet.poses import EXAMPLES

if TYPE_CHECKING:
    from lipstream.avatar.face.finder import FaceFinder
    from lipstream.media.image import Floats, Image


@pytest.fixture(scope="session")
def image() -> Image:
    """A portrait whose lips are closed."""
    picture = read_picture(EXAMPLES / "portrait_closed.png", AvatarConfig())
    picture.flags.writeable = False
    return picture


@pytest.fixture(scope="session")
def points(image: Image, finder: FaceFinder) -> Floats:
    """Its (468, 2) landmarks."""
    return finder.find(image)[0].landmarks[:, :2]
