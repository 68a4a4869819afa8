"""Painting faces on the device, from their latents to the pixels that change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import torch

from lipstream.avatar.avatar import Avatar
from lipstream.rendering.musetalk.compositing.background import Background
from lipstream.rendering.musetalk.compositing.base import FaceRequest, Pending
from lipstream.rendering.musetalk.compositing.blend_torch import (
    KeptFaces,
    Patch,
    composite,
    keep_faces,
    rehearse,
)
from lipstream.rendering.musetalk.compositing.pinned_buffers import PinnedBuffers
from lipstream.rendering.musetalk.optimizations.cuda_graphs import SIZES, GraphRunner, sizes_for
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

if TYPE_CHECKING:
    from lipstream.media.image import Picture
    from lipstream.rendering.musetalk.preprocess.prepare import MuseFaces

SHRINK = 8  # pixels per latent


class GpuCompositor:
    """Owns the device: faces stay there from their latents to the pixels that change.

    On a GPU everything is ordered by one stream of its own, so that batches in flight share their
    memory on the device; on the host each has its own. Copying the result takes 0.3 % of the time
    that painting it does: a second stream for it would gain less than its events cost. With
    `record` batches are replayed from recordings, which are made here and take seconds. With
    `planes` pictures are given as `I420`, which the device converts the faces to.

    Runs on a CPU too, for tests. May be used from any thread.
    """

    def __init__(
        self,
        networks: MuseTalkNetworks,
        side: int = 256,
        tokens: int = 50,
        *,
        batch: int = SIZES[-1],
        record: bool = False,
        planes: bool = False,
    ) -> None:
        self._networks = networks
        self._planes = planes
        self._device = networks.device
        self._stream: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        channels = networks.unet.dimensions.in_channels
        latents = (channels, side // SHRINK, side // SHRINK)
        audio = (tokens, networks.unet.dimensions.audio_width)
        self._canvas = GraphRunner(networks, latents, audio, sizes_for(batch), self._stream)
        if self._stream is not None:
            # Neither the weights nor the canvas need be there yet.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with self._on_stream():
                rehearse(self._canvas.pictures, planes)
            if record:
                self._canvas.record()
        self._kept: WeakKeyDictionary[Avatar, KeptFaces] = WeakKeyDictionary()
        self._spare: list[PinnedBuffers] = []
        self._out = torch.zeros(0, dtype=torch.uint8, device=self._device)
        self._lock = threading.Lock()

    @property
    def overlaps(self) -> bool:
        """Whether the device paints while the caller does something else: a GPU does."""
        return self._stream is not None

    def keep(self, avatar: Avatar, faces: MuseFaces) -> Background:
        """Bring an avatar to the device; it stays as long as the avatar itself."""
        return self._kept_faces(avatar, faces).background

    @torch.inference_mode()
    def begin(self, requests: Sequence[FaceRequest]) -> Pending:
        """Start with at least one face; waits for the device only to bring an avatar there."""
        patches = self._patches(requests)
        with self._lock, self._on_stream():
            pinned = self._spare.pop() if self._spare else PinnedBuffers(self._stream)
            pinned.fill([request.audio for request in requests], patches)
            self._launch(pinned, patches)
        return _Painted(self, pinned, patches)

    @property
    def spare(self) -> int:
        """Batches whose memory on the host waits for another."""
        return len(self._spare)

    def put_back(self, pinned: PinnedBuffers) -> None:
        """Take the host's memory of a batch that has been read."""
        with self._lock:
            self._spare.append(pinned)

    def _patches(self, requests: Sequence[FaceRequest]) -> list[Patch]:
        """Where the face of each goes, and where its bytes go among those of the batch."""
        patches: list[Patch] = []
        start = 0
        for request in requests:
            kept = self._kept_faces(request.avatar, request.faces)
            patch = Patch(kept, request.frame, request.strength, start)
            patches.append(patch)
            start += patch.size
        return patches

    def _launch(self, pinned: PinnedBuffers, patches: Sequence[Patch]) -> None:
        """Paint and composite what `pinned` holds, and bring it back there."""
        canvas, size = self._canvas, pinned.result.numel()
        if self._out.numel() < size:
            self._out = torch.empty(2 * size, dtype=torch.uint8, device=self._device)
        audio = pinned.audio.to(self._device, non_blocking=True)
        table = pinned.table.to(self._device, non_blocking=True)
        most = canvas.sizes[-1]
        for start in range(0, len(patches), most):
            some = patches[start : start + most]
            latents = [patch.kept.latents[patch.frame] for patch in some]
            torch.stack(latents, out=canvas.latents[: len(some)])
            canvas.audio[: len(some)].copy_(audio[start : start + most])
            painted = canvas.paint(len(some))
            composite(painted, some, table[start : start + most], self._out)
        pinned.result.copy_(self._out[:size], non_blocking=True)
        pinned.mark()

    def _kept_faces(self, avatar: Avatar, faces: MuseFaces) -> KeptFaces:
        with self._lock:
            kept = self._kept.get(avatar)
        if kept is None:
            kept = keep_faces(
                avatar.frames, faces, self._device, self._networks.dtype, self._planes
            )
            if self._stream is not None:
                # The avatar may go while a batch still reads this.
                for tensor in (kept.latents, kept.below, kept.masks):
                    tensor.record_stream(self._stream)
            with self._lock:
                kept = self._kept.setdefault(avatar, kept)
        return kept

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


@dataclass(frozen=True, slots=True, eq=False)
class _Painted:
    """A batch on the device; it keeps alive what the device reads."""

    compositor: GpuCompositor
    pinned: PinnedBuffers
    patches: Sequence[Patch]

    def finish(self) -> list[Picture]:
        """See `Pending`."""
        self.pinned.wait()
        flat, pictures = self.pinned.result.numpy(), []
        for patch in self.patches:
            changed = flat[patch.start : patch.start + patch.size].reshape(patch.shape)
            background = patch.kept.background
            pictures.append(background.with_patch(patch.frame, changed, patch.plan.region))
        self.compositor.put_back(self.pinned)
        return pictures
