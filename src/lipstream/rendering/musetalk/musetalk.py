"""The MuseTalk renderer: what is heard and a face's latents in, the face saying it out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch

from lipstream.avatar.avatar import Avatar, ping_pong
from lipstream.rendering.composite import paste
from lipstream.rendering.musetalk.blending import BlendPlan, blend
from lipstream.rendering.musetalk.checkpoint import MuseTalkNetworks
from lipstream.rendering.musetalk.preparation import (
    FaceSettings,
    MuseFaces,
    attach,
    prepare_faces,
    stored_faces,
)
from lipstream.rendering.musetalk.vae import Vae, to_pictures
from lipstream.rendering.renderer import FrameRequest
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from fractions import Fraction

    from lipstream.progress import Progress
    from lipstream.rendering.musetalk.preparation import Locate, Parse
    from lipstream.video import Floats, Image


class MuseTalkRenderer:
    """Paints mouths with the MuseTalk networks. Shared by all streams; threads take turns.

    `parse` is the published face parser where its weights are there, `locate` the published
    landmark model; without them lipstream's own landmarks do both. What is computed once per avatar
    is kept as long as the avatar itself.
    """

    def __init__(
        self,
        networks: MuseTalkNetworks,
        fps: Fraction = FPS,
        *,
        settings: FaceSettings | None = None,
        parse: Parse | None = None,
        locate: Locate | None = None,
    ) -> None:
        self.networks = networks
        self._fps = fps
        self._parse, self._locate = parse, locate
        self._settings = _settled(
            settings or FaceSettings.published(networks.version), networks.vae
        )
        self._faces: WeakKeyDictionary[Avatar, MuseFaces] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """The avatar with its faces: they are saved with it and found again."""
        with self._lock:
            faces = stored_faces(avatar, self._settings)
            if faces is None:
                faces = self._prepare(avatar, progress)
                avatar = attach(avatar, faces)
            self._faces[avatar] = faces
            return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Image]:
        """One picture per request; all faces that speak go through the networks in one batch."""
        with self._lock:
            shown = [self._shown(request) for request in requests]
            painted = iter(self._paint(requests, shown))
            pictures = []
            for request, (position, _, plan) in zip(requests, shown, strict=True):
                picture = request.avatar.frames[position].pixels
                if plan is None:
                    pictures.append(picture.copy())
                else:
                    face = next(painted)
                    pictures.append(paste(picture, *blend(picture, face, plan, request.strength)))
            return pictures

    def _shown(self, request: FrameRequest) -> tuple[int, Floats, BlendPlan | None]:
        """Which frame of the avatar a request shows, its latents and how its face is put back.

        No plan where nothing is put back: there is no face, or it is at rest.
        """
        faces = self._faces.get(request.avatar)
        if faces is None:
            faces = stored_faces(request.avatar, self._settings)
            if faces is None:
                faces = self._prepare(request.avatar, None)
            self._faces[request.avatar] = faces
        position = ping_pong(int(request.index * FPS / self._fps), len(request.avatar.frames))
        speaks = request.conditioning is not None and request.strength > 0
        return position, faces.latents[position], faces.plans[position] if speaks else None

    @torch.inference_mode()
    def _paint(
        self,
        requests: Sequence[FrameRequest],
        shown: list[tuple[int, Floats, BlendPlan | None]],
    ) -> list[Image]:
        """The faces of all requests that have one: (side, side, 3) uint8 RGB each."""
        rows = [index for index, (_, _, plan) in enumerate(shown) if plan is not None]
        if not rows:
            return []
        said = [requests[i].conditioning for i in rows]
        heard = self._tensor(np.stack([one for one in said if one is not None]))
        latents = self._tensor(np.stack([shown[i][1] for i in rows]))
        return list(to_pictures(self.networks.paint(latents, heard)).cpu().numpy())

    def _prepare(self, avatar: Avatar, progress: Progress | None) -> MuseFaces:
        return prepare_faces(
            avatar,
            self._encode,
            self._settings,
            progress,
            locate=self._locate if self._settings.landmarks != "mesh" else None,
            parse=self._parse if self._settings.labels != "mesh" else None,
            scaling=self.networks.vae.dimensions.scaling,
        )

    @torch.inference_mode()
    def _encode(self, images: Floats) -> Floats:
        encoded = self.networks.vae.encode(self._tensor(images)).float().cpu().numpy()
        return np.asarray(encoded, np.float32)

    def _tensor(self, array: Floats) -> torch.Tensor:
        networks = self.networks
        return torch.from_numpy(array).to(networks.device, networks.dtype)


def _settled(settings: FaceSettings, vae: Vae) -> FaceSettings:
    """The settings, naming the weights that made the latents."""
    return replace(settings, checkpoint=settings.checkpoint or fingerprint(vae))


def fingerprint(vae: Vae) -> str:
    """Names an autoencoder by the first numbers of each of its tensors: quick, and enough."""
    digest = hashlib.sha256()
    for name, tensor in vae.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten()[:16].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
