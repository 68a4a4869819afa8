"""Generated faces put back on a CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from lipstream.avatar.avatar import Avatar
from lipstream.media.i420 import BT601, to_i420
from lipstream.media.image import Image, Picture
from lipstream.rendering.base import PendingPictures, PixelFormat
from lipstream.rendering.musetalk.compositing.background import (
    Background,
    I420Background,
    RgbBackground,
)
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.generated import composited, generate_faces
from lipstream.rendering.musetalk.compositing.nonfinite import NonFiniteFaces
from lipstream.rendering.musetalk.preprocess.prepare import PreparedFaces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks


class CpuCompositor:
    """Composites with OpenCV, bit for bit as published; all work is done in `finish`.

    Threads take turns. Each picture of a clip is decoded once per composited frame.
    """

    overlaps = False

    def __init__(
        self,
        networks: MuseTalkNetworks,
        *,
        pixel_format: PixelFormat = "rgb24",
        nonfinite: NonFiniteFaces | None = None,
    ) -> None:
        self._networks = networks
        self.nonfinite = nonfinite or NonFiniteFaces()
        self._pixel_format = pixel_format
        self._backgrounds: WeakKeyDictionary[Avatar, Background] = WeakKeyDictionary()
        self._generating, self._loading = threading.Lock(), threading.Lock()

    @property
    def nonfinite_faces(self) -> int:
        return self.nonfinite.count

    def load(self, avatar: Avatar, faces: PreparedFaces) -> Background:
        """Convert the pictures of an avatar; they stay as long as the avatar itself."""
        if self._pixel_format == "rgb24":
            return RgbBackground(avatar.frames)
        with self._loading:
            found = self._backgrounds.get(avatar)
        if found is None:
            found = I420Background(avatar.frames, partial(to_i420, matrix=BT601))
            with self._loading:  # not before: other avatars need not wait for the conversion
                found = self._backgrounds.setdefault(avatar, found)
        return found

    def begin(self, requests: Sequence[FaceRequest]) -> PendingPictures:
        return _Deferred(self, requests)

    def pictures(self, requests: Sequence[FaceRequest]) -> list[Picture]:
        faces = self.faces(requests)
        missing = [place for place, face in enumerate(faces) if face is None]
        again = self.nonfinite.again([requests[place] for place in missing])
        for place, face in zip(missing, again, strict=True):
            faces[place] = face
        return [
            composited(request, face, self.load(request.avatar, request.faces))
            for request, face in zip(requests, faces, strict=True)
        ]

    def faces(self, requests: Sequence[FaceRequest]) -> list[Image | None]:
        """The generated faces, see `generate_faces`."""
        with self._generating:
            return generate_faces(self._networks, requests)


@dataclass(frozen=True, slots=True, eq=False)
class _Deferred:
    compositor: CpuCompositor
    requests: Sequence[FaceRequest]

    def finish(self) -> list[Picture]:
        return self.compositor.pictures(self.requests)
