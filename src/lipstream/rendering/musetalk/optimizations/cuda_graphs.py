"""The networks on memory that stays where it is, so that a GPU can record and replay them.

A batch is about a thousand launches, which from Python take longer than the work of a small one; a
recording is one call. It is good for one size of batch and for the memory it was made on: a batch
of five is replayed as one of six, whose last row is left over from before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lipstream.rendering.musetalk.models.vae import finite_rows, to_pictures
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

# Filling up costs a third at most where batches are small, a quarter above eight.
SIZES = (1, 2, 4, 6, 8, 12, 16, 24, 32)
# The first run of a size chooses kernels and compiles them, the second may still allocate.
WARM_UPS = 3


def sizes_for(batch: int) -> tuple[int, ...]:
    """The sizes that batches of up to `batch` faces are filled up to."""
    most = next((size for size in SIZES if size >= batch), SIZES[-1])
    return tuple(size for size in SIZES if size <= most)


class GraphRunner:
    """`MuseTalkNetworks.generate` and its bytes for up to `sizes[-1]` faces at a time.

    The caller writes the first rows of `latents` and `audio`, calls `run` and reads as many of
    `pictures` and `finite`, all on `stream` if there is one and one batch after the other. On a GPU
    a batch is filled up to the next of `sizes`; elsewhere it runs as it is.
    """

    def __init__(
        self,
        networks: MuseTalkNetworks,
        latents: tuple[int, int, int],
        audio: tuple[int, int],
        sizes: tuple[int, ...] = SIZES,
        stream: torch.cuda.Stream | None = None,
    ) -> None:
        device, most = networks.device, sizes[-1]
        pixels = tuple(8 * side for side in latents[1:])
        self.latents = torch.zeros((most, *latents), dtype=networks.dtype, device=device)
        self.audio = torch.zeros((most, *audio), dtype=networks.dtype, device=device)
        self.pictures = torch.zeros((most, *pixels, 3), dtype=torch.uint8, device=device)
        self.finite = torch.ones(most, dtype=torch.bool, device=device)  # rows of `pictures`
        self.sizes = sizes
        self._networks = networks
        self._stream = stream
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def run(self, count: int) -> Tensor:
        """The pictures of the first `count` rows, (count, side, side, 3) uint8: a view."""
        assert 1 <= count <= self.sizes[-1], count
        size = count
        if self._networks.device.type == "cuda":
            size = next(size for size in self.sizes if size >= count)
        graph = self._graphs.get(size)
        if graph is None:
            self._generate(size)
        else:
            graph.replay()
        return self.pictures[:count]

    def record(self) -> None:
        """Record every size, once. Takes seconds and, for all together, the memory of the largest.

        Nothing else may run meanwhile, nor multiply matrices on a GPU in another thread.
        """
        stream = self._stream
        assert stream is not None, "only a GPU records"
        # A recording that dies frees workspaces that the others of its stream still read.
        assert not self._graphs, "recorded already"
        stream.wait_stream(torch.cuda.current_stream(stream.device))
        pool = torch.cuda.graph_pool_handle()
        with torch.cuda.device(stream.device):
            for size in reversed(self.sizes):  # the smaller ones fit into what the largest needs
                # On the stream of the recording: libraries keep a workspace for each.
                with torch.cuda.stream(stream), cudnn_autotune():
                    for _ in range(WARM_UPS):
                        self._generate(size)
                stream.synchronize()
                graph = torch.cuda.CUDAGraph()
                # A cuBLAS workspace of its own: torch.compile frees the current one process-wide.
                free_cublas_workspaces()
                with torch.cuda.graph(
                    graph, pool=pool, stream=stream, capture_error_mode="thread_local"
                ):
                    self._generate(size)
                free_cublas_workspaces()
                self._graphs[size] = graph
        stream.synchronize()

    @torch.inference_mode()
    def _generate(self, size: int) -> None:
        raw = self._networks.generate(self.latents[:size], self.audio[:size])
        self.pictures[:size].copy_(to_pictures(raw))
        self.finite[:size].copy_(finite_rows(raw))


def free_cublas_workspaces() -> bool:
    """Free cuBLAS' workspaces of this process; False where this torch has no such function.

    It is not public. Without it a recording shares a workspace with what runs beside it.
    """
    free: Any = getattr(torch._C, "_cuda_clearCublasWorkspaces", None)
    if free is None:
        return False
    free()
    return True


@contextmanager
def cudnn_autotune() -> Iterator[None]:
    """Let cuDNN try its algorithms on every new shape and keep the fastest.

    It waits for the device, which a recording does not allow.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
