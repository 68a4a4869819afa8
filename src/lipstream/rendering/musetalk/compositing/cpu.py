"""Painting faces with OpenCV's help, bit for bit as published."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from lipstream.avatar.avatar import Avatar
from lipstream.media.i420 import BT601, to_i420
from lipstream.rendering.musetalk.compositing.background import (
    Background,
    I420Background,
    RgbBackground,
)
from lipstream.rendering.musetalk.compositing.base import FaceRequest, Pending
from lipstream.rendering.musetalk.compositing.blend import blend
from lipstream.rendering.musetalk.models.vae import to_pictures
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image, Picture
    from lipstream.rendering.musetalk.preprocess.prepare import MuseFaces


class CpuCompositor:
    """Composites with OpenCV, bit for bit as published; paints when it is asked for the pictures.

    There is nothing to overlap on a CPU. Threads take turns. With `planes` pictures are given as
    `I420`.
    """

    def __init__(self, networks: MuseTalkNetworks, *, planes: bool = False) -> None:
        self._networks = networks
        self._planes = planes
        self._backgrounds: WeakKeyDictionary[Avatar, Background] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._keeping = threading.Lock()

    @property
    def overlaps(self) -> bool:
        """No: `finish` paints."""
        return False

    def keep(self, avatar: Avatar, faces: MuseFaces) -> Background:
        """Convert the pictures of an avatar; they stay as long as the avatar itself."""
        if not self._planes:
            return RgbBackground(avatar.frames)
        with self._keeping:
            found = self._backgrounds.get(avatar)
        if found is None:
            found = I420Background(avatar.frames, partial(to_i420, matrix=BT601))
            with self._keeping:  # not before: nobody waits while another's avatar is converted
                found = self._backgrounds.setdefault(avatar, found)
        return found

    def begin(self, requests: Sequence[FaceRequest]) -> Pending:
        return _Unpainted(self, requests)

    def pictures(self, requests: Sequence[FaceRequest]) -> list[Picture]:
        """The pictures of `requests`."""
        pictures = []
        for request, face in zip(requests, self.faces(requests), strict=True):
            background = self.keep(request.avatar, request.faces)
            picture = request.avatar.frames[request.frame].pixels
            pixels, region = blend(picture, face, request.plan, request.strength)
            patch, where = background.patch(picture, pixels, region)
            pictures.append(background.with_patch(request.frame, patch, where))
        return pictures

    @torch.inference_mode()
    def faces(self, requests: Sequence[FaceRequest]) -> list[Image]:
        """What the networks paint, (side, side, 3) uint8 RGB each; all faces in one batch."""
        latents = np.stack([request.faces.latents[request.frame] for request in requests])
        audio = np.stack([request.audio for request in requests])
        with self._lock:
            raw = self._networks.paint(self._tensor(latents), self._tensor(audio))
            return list(to_pictures(raw).cpu().numpy())

    def _tensor(self, array: Floats) -> Tensor:
        return torch.from_numpy(array).to(self._networks.device, self._networks.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class _Unpainted:
    compositor: CpuCompositor
    requests: Sequence[FaceRequest]

    def finish(self) -> list[Picture]:
        return self.compositor.pictures(self.requests)
