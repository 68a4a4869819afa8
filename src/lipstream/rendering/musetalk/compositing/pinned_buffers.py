"""The memory on the host of one batch on its way to the device and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lipstream.media.image import Floats
from lipstream.rendering.musetalk.compositing.blend_torch import Patch, fill_table
from lipstream.rendering.musetalk.compositing.fixed_point import COLUMNS


class PinnedBuffers:
    """Pinned if there is a `stream`, so that copies are asynchronous. Grows, never shrinks.

    Belongs to one batch at a time: from `fill` until its pictures have been read.
    """

    def __init__(self, stream: torch.cuda.Stream | None) -> None:
        self._stream = stream
        self._event: torch.cuda.Event | None = None
        if stream is not None:
            # The waiting thread sleeps: cores are needed to encode video.
            self._event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._memory: dict[str, Tensor] = {}
        self.audio = self._view("audio", (0,), torch.float32)  # (n, tokens, width)
        self.table = self._view("table", (0,), torch.int64)  # (n, COLUMNS)
        # The pixels that change, joined, and a byte per face: 1 where it is finite.
        self.result = self._view("result", (0,), torch.uint8)

    def fill(self, audio: Sequence[Floats], patches: Sequence[Patch]) -> None:
        """Write the inputs of the device, and make room for its result."""
        count = len(patches)
        self.audio = self._view("audio", (count, *audio[0].shape), torch.float32)
        self.table = self._view("table", (count, COLUMNS), torch.int64)
        self.result = self._view(
            "result", (patches[-1].start + patches[-1].size + count,), torch.uint8
        )
        np.stack(audio, out=self.audio.numpy())
        fill_table(patches, self.table.numpy())

    def mark(self) -> None:
        """Mark the end of the work of this batch in the stream."""
        if self._event is not None:
            self._event.record(self._stream)

    def wait(self) -> None:
        if self._event is not None:
            self._event.synchronize()

    def _view(self, name: str, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """The first bytes of the memory called `name`, which grows where it must."""
        size = int(np.prod(shape))
        memory = self._memory.get(name)
        if memory is None or memory.numel() < size:
            pinned = self._stream is not None
            memory = torch.empty(2 * size, dtype=dtype, pin_memory=pinned)
            self._memory[name] = memory
        return memory[:size].view(shape)
