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
from lipstream.rendering.base import FrameRequest, PendingPictures
from lipstream.rendering.musetalk.compositing.base import (
    BareRequest,
    Compositor,
    FaceRequest,
    begin_pictures,
)
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.models.vae import Vae
from lipstream.rendering.musetalk.preprocess.prepare import (
    FaceSettings,
    MuseFaces,
    attach,
    prepare_faces,
    stored_faces,
)
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.timeline import FPS

if TYPE_CHECKING:
    from fractions import Fraction

    from lipstream.config import Progress
    from lipstream.media.image import Floats, Picture
    from lipstream.rendering.musetalk.preprocess.prepare import Locate, Parse


class MuseTalkRenderer:
    """Paints mouths with the MuseTalk networks. Shared by all streams and threads.

    `compositor` does it, by default one without a GPU that agrees with the published code bit for
    bit. `parse` is the published face parser where its weights are there, `locate` the published
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
        compositor: Compositor | None = None,
    ) -> None:
        self.networks = networks
        self._compositor = compositor or CpuCompositor(networks)
        self._fps = fps
        self._parse, self._locate = parse, locate
        self._settings = _settled(
            settings or FaceSettings.published(networks.version), networks.vae
        )
        self._faces: WeakKeyDictionary[Avatar, MuseFaces] = WeakKeyDictionary()
        self._preparing = threading.Lock()  # takes long; painting goes on meanwhile

    @property
    def overlaps(self) -> bool:
        """See `PipelinedRenderer`; on a GPU it does."""
        return self._compositor.overlaps

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """The avatar with its faces: they are saved with it and found again."""
        with self._preparing:
            faces = stored_faces(avatar, self._settings)
            if faces is None:
                faces = self._prepare(avatar, progress)
                avatar = attach(avatar, faces)
            self._faces[avatar] = faces
        self._compositor.keep(avatar, faces)
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One picture per request; all faces that speak go through the networks in one batch."""
        return self.begin(requests).finish()

    def begin(self, requests: Sequence[FrameRequest]) -> PendingPictures:
        """The same, begun: on a GPU nothing is waited for before `finish`."""
        return begin_pictures(self._compositor, [self._shown(request) for request in requests])

    def _shown(self, request: FrameRequest) -> FaceRequest | BareRequest:
        """The face to paint, or what is shown where there is none or it is at rest."""
        avatar, said = request.avatar, request.conditioning
        position = ping_pong(int(request.index * FPS / self._fps), len(avatar.frames))
        faces = self._faces_of(avatar)
        if said is None or request.blend_weight <= 0 or faces.plans[position] is None:
            return BareRequest(self._compositor.keep(avatar, faces), position)
        return FaceRequest(avatar, faces, position, said, request.blend_weight)

    def _faces_of(self, avatar: Avatar) -> MuseFaces:
        """What was prepared of an avatar; prepared now where it was not."""
        faces = self._faces.get(avatar)
        if faces is None:
            with self._preparing:
                faces = self._faces.get(avatar) or stored_faces(avatar, self._settings)
                if faces is None:
                    faces = self._prepare(avatar, None)
                self._faces[avatar] = faces
        return faces

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
