"""Generated faces put back on a CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from lipstream.avatar.avatar import Avatar
from lipstream.media.i420 import BT601, to_i420
from lipstream.media.image import Floats, Image, Picture
from lipstream.rendering.base import PendingPictures, PixelFormat
from lipstream.rendering.musetalk.compositing.background import (
    Background,
    I420Background,
    RgbBackground,
)
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.blend import blend
from lipstream.rendering.musetalk.models.vae import to_pictures
from lipstream.rendering.musetalk.preprocess.prepare import PreparedFaces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks


class CpuCompositor:
    """Composites with OpenCV, bit for bit as published; all work is done in `finish`.

    Threads take turns. Each picture of a clip is decoded once per composited frame.
    """

    overlaps = False

    def __init__(self, networks: MuseTalkNetworks, *, pixel_format: PixelFormat = "rgb24") -> None:
        self._networks = networks
        self._pixel_format = pixel_format
        self._backgrounds: WeakKeyDictionary[Avatar, Background] = WeakKeyDictionary()
        self._generating, self._loading = threading.Lock(), threading.Lock()

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
        pictures = []
        for request, face in zip(requests, self.faces(requests), strict=True):
            source = request.avatar.frames[request.frame].pixels
            pixels, region = blend(source, face, request.plan, request.blend_weight)
            background = self.load(request.avatar, request.faces)
            pictures.append(background.with_pixels(request.frame, source, pixels, region))
        return pictures

    @torch.inference_mode()
    def faces(self, requests: Sequence[FaceRequest]) -> list[Image]:
        """The generated faces, (side, side, 3) uint8 RGB each; all in one batch."""
        latents = np.stack([request.faces.latents[request.frame] for request in requests])
        audio = np.stack([request.conditioning for request in requests])
        with self._generating:
            raw = self._networks.generate(self._tensor(latents), self._tensor(audio))
            return list(to_pictures(raw).cpu().numpy())

    def _tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(array).to(self._networks.device, self._networks.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Deferred:
    compositor: CpuCompositor
    requests: Sequence[FaceRequest]

    def finish(self) -> list[Picture]:
        return self.compositor.pictures(self.requests)
