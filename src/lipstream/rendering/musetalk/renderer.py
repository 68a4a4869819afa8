"""The MuseTalk renderer: conditionings and the latents of a face in, pictures out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from weakref import WeakKeyDictionary

import numpy as np
import torch

from lipstream.avatar.avatar import Avatar
from lipstream.config import Progress
from lipstream.media.image import Floats, Picture
from lipstream.rendering.base import FrameRequest, PendingPictures
from lipstream.rendering.musetalk.compositing.base import (
    BackgroundRequest,
    Compositor,
    FaceRequest,
    begin_pictures,
)
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.models.vae import Vae
from lipstream.rendering.musetalk.preprocess import prepare
from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings, PreparedFaces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.timeline import FPS


class MuseTalkRenderer:
    """Renders talking faces with the MuseTalk networks. Shared by all streams and threads.

    `compositor` does it, by default one for CPUs that agrees with the published code bit for bit.
    `parse` is the published face parser, `locate` the published landmark model; without them
    lipstream's own landmarks do both. Prepared faces are kept as long as their avatar.
    """

    def __init__(
        self,
        networks: MuseTalkNetworks,
        fps: Fraction = FPS,
        *,
        settings: FaceSettings | None = None,
        parse: prepare.Parse | None = None,
        locate: prepare.Locate | None = None,
        compositor: Compositor | None = None,
    ) -> None:
        settings = settings or FaceSettings.published(networks.version)
        checkpoint = settings.checkpoint or fingerprint(networks.vae)
        self.networks = networks
        self._compositor = compositor or CpuCompositor(networks)
        self.overlaps = self._compositor.overlaps  # see `PipelinedRenderer`; on a GPU it does
        self._fps = fps
        self._parse, self._locate = parse, locate
        self._settings = replace(settings, checkpoint=checkpoint)
        self._faces: WeakKeyDictionary[Avatar, PreparedFaces] = WeakKeyDictionary()
        self._preparing = threading.Lock()  # held for long; frames are rendered meanwhile

    @property
    def precision(self) -> str:
        """The type of the networks' numbers: float32, float16 or bfloat16."""
        return str(self.networks.dtype).removeprefix("torch.")

    @property
    def nonfinite_faces(self) -> int:
        """Faces so far that were not finite, see `NonFiniteFaces`."""
        return self._compositor.nonfinite_faces

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """The avatar with its faces: they are saved with it and found again."""
        with self._preparing:
            faces = prepare.stored_faces(avatar, self._settings)
            if faces is None:
                faces = self._prepare(avatar, progress)
                # Saved with the avatar, latents that are not finite would outlive their cause.
                if np.isfinite(faces.latents).all():
                    avatar = prepare.attach(avatar, faces)
            self._faces[avatar] = faces
        self._compositor.load(avatar, faces)
        return avatar

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One picture per request; all faces go through the networks in one batch."""
        return self.begin(requests).finish()

    def begin(self, requests: Sequence[FrameRequest]) -> PendingPictures:
        """Start with the pictures; on a GPU nothing waits before `finish`."""
        return begin_pictures(self._compositor, list(map(self._request, requests)))

    def _request(self, request: FrameRequest) -> FaceRequest | BackgroundRequest:
        """The face to generate, or the picture alone without a face or while it is idle."""
        avatar, weight = request.avatar, request.blend_weight
        position = avatar.position(request.index, self._fps)
        faces = self._prepared(avatar)
        if request.conditioning is None or weight <= 0 or faces.plans[position] is None:
            return BackgroundRequest(self._compositor.load(avatar, faces), position)
        return FaceRequest(avatar, faces, position, request.conditioning, weight)

    def _prepared(self, avatar: Avatar) -> PreparedFaces:
        """The faces of an avatar; prepared now if they were not."""
        faces = self._faces.get(avatar)
        if faces is None:
            with self._preparing:
                faces = self._faces.get(avatar) or prepare.stored_faces(avatar, self._settings)
                faces = self._faces[avatar] = faces or self._prepare(avatar, None)
        return faces

    def _prepare(self, avatar: Avatar, progress: Progress | None) -> PreparedFaces:
        return prepare.prepare_faces(
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
        given = torch.from_numpy(images).to(self.networks.device, self.networks.dtype)
        return np.asarray(self.networks.vae.encode(given).float().cpu().numpy(), np.float32)


def fingerprint(vae: Vae) -> str:
    """A name for an autoencoder, from the first numbers of each of its tensors."""
    digest = hashlib.sha256()
    for name, tensor in vae.state_dict().items():
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten()[:16].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
