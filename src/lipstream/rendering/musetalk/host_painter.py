"""Painting faces with OpenCV's help, bit for bit as published."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lipstream.avatar.avatar import Avatar
from lipstream.rendering.composite import paste
from lipstream.rendering.musetalk.blending import blend
from lipstream.rendering.musetalk.checkpoint import MuseTalkNetworks
from lipstream.rendering.musetalk.painter import FaceRequest, Pending
from lipstream.rendering.musetalk.vae import to_pictures

if TYPE_CHECKING:
    from lipstream.rendering.musetalk.preparation import MuseFaces
    from lipstream.video import Floats, Image


class HostPainter:
    """Composites with OpenCV, bit for bit as published; paints when it is asked for the pictures.

    There is nothing to overlap on a CPU. Threads take turns.
    """

    def __init__(self, networks: MuseTalkNetworks) -> None:
        self._networks = networks
        self._lock = threading.Lock()

    def keep(self, avatar: Avatar, faces: MuseFaces) -> None:
        """Nothing is kept."""

    def begin(self, requests: Sequence[FaceRequest]) -> Pending:
        return _Unpainted(self, requests)

    def pictures(self, requests: Sequence[FaceRequest]) -> list[Image]:
        """The pictures of `requests`."""
        pictures = []
        for request, face in zip(requests, self.faces(requests), strict=True):
            picture = request.avatar.frames[request.frame].pixels
            patch, region = blend(picture, face, request.plan, request.strength)
            pictures.append(paste(picture, patch, region))
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
    painter: HostPainter
    requests: Sequence[FaceRequest]

    def finish(self) -> list[Image]:
        return self.painter.pictures(self.requests)
