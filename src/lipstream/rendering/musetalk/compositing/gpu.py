"""Faces on the device, from their latents to the pixels that change."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch

from lipstream.avatar.avatar import Avatar
from lipstream.media.image import Picture
from lipstream.rendering.base import PendingPictures, PixelFormat
from lipstream.rendering.musetalk.compositing import blend_torch
from lipstream.rendering.musetalk.compositing.background import Background
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.blend_torch import DeviceFaces, Patch
from lipstream.rendering.musetalk.compositing.generated import composited
from lipstream.rendering.musetalk.compositing.nonfinite import NonFiniteFaces
from lipstream.rendering.musetalk.compositing.pinned_buffers import PinnedBuffers
from lipstream.rendering.musetalk.optimizations.cuda_graphs import SIZES, GraphRunner, sizes_for
from lipstream.rendering.musetalk.preprocess.prepare import SHRINK, PreparedFaces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks


class GpuCompositor:
    """Owns the device: faces stay there from their latents to the pixels that change.

    On a GPU one stream of its own orders everything, so that batches in flight share their memory
    on the device; on the host each has its own. Copying the result takes 0.3 % of the time of
    generating it: a second stream would gain less than its events cost. With `record` batches are
    replayed from recordings, which are made here and take seconds.

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
        pixel_format: PixelFormat = "rgb24",
        nonfinite: NonFiniteFaces | None = None,
    ) -> None:
        self.nonfinite = nonfinite or NonFiniteFaces()
        self._networks = networks
        self._pixel_format = pixel_format
        self._device = networks.device
        self._stream: torch.cuda.Stream | None = None
        self.overlaps = self._device.type == "cuda"  # it works while the caller does something else
        if self.overlaps:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        channels = networks.unet.dimensions.in_channels
        latents = (channels, side // SHRINK, side // SHRINK)
        audio = (tokens, networks.unet.dimensions.audio_width)
        self._runner = GraphRunner(networks, latents, audio, sizes_for(batch), self._stream)
        if self._stream is not None:
            # The weights and the memory of the runner may still be on their way.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
            with self._on_stream():
                blend_torch.warm_up(self._runner.pictures, pixel_format)
            if record:
                self._runner.record()
        self._loaded: WeakKeyDictionary[Avatar, DeviceFaces] = WeakKeyDictionary()
        self._spare: list[PinnedBuffers] = []
        self._out = torch.zeros(0, dtype=torch.uint8, device=self._device)
        self._lock = threading.Lock()

    @property
    def nonfinite_faces(self) -> int:
        return self.nonfinite.count

    def load(self, avatar: Avatar, faces: PreparedFaces) -> Background:
        """Bring an avatar to the device; it stays as long as the avatar itself."""
        return self._device_faces(avatar, faces).background

    @torch.inference_mode()
    def begin(self, requests: Sequence[FaceRequest]) -> PendingPictures:
        """Start with at least one face; waits for the device only to load an avatar."""
        patches = self._patches(requests)
        with self._lock, self._on_stream():
            pinned = self._spare.pop() if self._spare else PinnedBuffers(self._stream)
            pinned.fill([request.conditioning for request in requests], patches)
            self._launch(pinned, patches)
        return _Submitted(self, pinned, requests, patches)

    def put_back(self, pinned: PinnedBuffers) -> None:
        """Take the buffers of a batch that has been read."""
        with self._lock:
            self._spare.append(pinned)

    def _patches(self, requests: Sequence[FaceRequest]) -> list[Patch]:
        """The place of each face in its picture, and of its bytes among those of the batch."""
        patches: list[Patch] = []
        start = 0
        for request in requests:
            loaded = self._device_faces(request.avatar, request.faces)
            patches.append(Patch(loaded, request.frame, request.blend_weight, start))
            start += patches[-1].size
        return patches

    def _launch(self, pinned: PinnedBuffers, patches: Sequence[Patch]) -> None:
        """Generate and composite the batch in `pinned`, and copy the result back there."""
        runner, size = self._runner, pinned.result.numel()
        if self._out.numel() < size:
            self._out = torch.empty(2 * size, dtype=torch.uint8, device=self._device)
        audio = pinned.audio.to(self._device, non_blocking=True)
        table = pinned.table.to(self._device, non_blocking=True)
        most = runner.sizes[-1]
        for start in range(0, len(patches), most):
            some = patches[start : start + most]
            latents = [patch.faces.latents[patch.frame] for patch in some]
            torch.stack(latents, out=runner.latents[: len(some)])
            runner.audio[: len(some)].copy_(audio[start : start + most])
            generated = runner.run(len(some))
            blend_torch.composite(generated, some, table[start : start + most], self._out)
            first = size - len(patches) + start  # see `PinnedBuffers.result`
            self._out[first : first + len(some)].copy_(runner.finite[: len(some)])
        pinned.result.copy_(self._out[:size], non_blocking=True)
        pinned.mark()

    def _device_faces(self, avatar: Avatar, faces: PreparedFaces) -> DeviceFaces:
        with self._lock:
            loaded = self._loaded.get(avatar)
        if loaded is None:
            loaded = blend_torch.upload_faces(
                avatar.frames, faces, self._device, self._networks.dtype, self._pixel_format
            )
            if self._stream is not None:
                # The avatar may be freed while a batch still reads this.
                for tensor in (loaded.latents, loaded.below, loaded.masks):
                    tensor.record_stream(self._stream)
            with self._lock:
                loaded = self._loaded.setdefault(avatar, loaded)
        return loaded

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)


@dataclass(frozen=True, slots=True, eq=False)
class _Submitted:
    """A batch on the device; it keeps alive what the device reads."""

    compositor: GpuCompositor
    pinned: PinnedBuffers
    requests: Sequence[FaceRequest]
    patches: Sequence[Patch]

    def finish(self) -> list[Picture]:
        self.pinned.wait()
        flat = self.pinned.result.numpy()
        finite = flat[len(flat) - len(self.patches) :].astype(bool)
        pictures: list[Picture | None] = []
        for patch, sound in zip(self.patches, finite, strict=True):
            changed = flat[patch.start : patch.start + patch.size].reshape(patch.shape)
            place, region = patch.faces.background, patch.plan.region
            pictures.append(place.with_patch(patch.frame, changed, region) if sound else None)
        self.compositor.put_back(self.pinned)
        again = iter(self._again([int(place) for place in np.flatnonzero(~finite)]))
        return [next(again) if picture is None else picture for picture in pictures]

    def _again(self, places: Sequence[int]) -> list[Picture]:
        """The pictures at `places`, whose faces are not finite."""
        requests = [self.requests[place] for place in places]
        return [
            composited(request, face, self.patches[place].faces.background)
            for place, request, face in zip(
                places, requests, self.compositor.nonfinite.again(requests), strict=True
            )
        ]
