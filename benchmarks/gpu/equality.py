"""The check that all contenders paint the same: speed counts only for those that do.

The reference is float32 without TF32. Half precision differs from it by rounding; ours
may differ by half as much again, not more, and its finished pictures from the baseline's by little
more than the last bit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.ceilings import exact_float32
from benchmarks.gpu.contenders import Contender
from benchmarks.gpu.renderer_stub import RendererStub
from benchmarks.gpu.synthetic_workload import Workload
from lipstream.bench.published_compositing import compose_as_published
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.musetalk.models.unet import add_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

FACTOR = 1.5  # of the plain contender's own error
# Between finished pictures in float16, of 255: the mean, and what one byte in a thousand may reach.
# A coarser precision may differ by as much more as it is coarser.
MEAN, TAIL, PERCENTILE = 0.5, 3.0, 99.9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was compared."""

    name: str
    value: float
    limit: float

    @property
    def equal(self) -> bool:
        return bool(self.value <= self.limit)  # never for NaN

    def record(self) -> dict[str, object]:
        return asdict(self) | {"equal": self.equal}


@torch.inference_mode()
def check_equality(
    work: Workload, plain: Contender, ours: Contender, renderer: RendererStub, batch: int
) -> list[Check]:
    """Compare `batch` frames of both with the reference and with each other.

    `renderer` puts our faces back as it does for live sessions.
    """
    rows = work.batch(0, batch)
    with exact_float32():
        latents, raw = _painted(
            work, Contender("reference", work.networks, work.networks.generate), rows
        )
    theirs_latents, theirs = _painted(work, plain, rows)
    our_latents, our_raw = _painted(work, ours, rows)
    checks = [
        Check(
            "latents, relative",
            _apart(our_latents, latents),
            FACTOR * _apart(theirs_latents, latents),
        ),
        Check("decoded, relative", _apart(our_raw, raw), FACTOR * _apart(theirs, raw)),
    ]
    checks += _finished(work, plain, renderer, rows)
    checks.append(_batch_independence(work, ours, rows))
    return checks


def _painted(work: Workload, contender: Contender, rows: list[int]) -> tuple[Tensor, Tensor]:
    """(b, 4, h, w) latents and (b, 3, H, W) raw pictures, four frames at a time."""
    latents, raw = [], []
    for start in range(0, len(rows), 4):
        given, audio = work.inputs(rows[start : start + 4], contender.networks.dtype)
        latents.append(contender.networks.unet(given, add_positions(audio)).float())
        raw.append(contender.networks.generate(given, audio).float())
    return torch.cat(latents), torch.cat(raw)


def _apart(found: Tensor, expected: Tensor) -> float:
    """Relative L2 distance."""
    return float((found - expected).norm() / expected.norm())


def _finished(
    work: Workload, plain: Contender, renderer: RendererStub, rows: list[int]
) -> list[Check]:
    """Finished pictures: the published way against ours, compositing included."""
    coarser = _coarser(plain.networks.dtype)
    latents, audio = work.inputs(rows, plain.networks.dtype)
    faces = plain.paint(latents, audio).cpu().numpy()
    conditionings = work.audio.cpu().numpy()
    requests = [FrameRequest(work.avatar, row, conditionings[row]) for row in rows]
    inside: list[NDArray[np.int16]] = []
    outside = 0
    for row, face, made in zip(rows, faces, renderer.render(requests), strict=True):
        picture, plan = work.avatar.frames[row].pixels, work.faces.plans[row]
        assert plan is not None and isinstance(made, np.ndarray)
        region = plan.region.slices
        theirs = compose_as_published(picture, face, plan)
        inside.append(np.abs(theirs.astype(np.int16) - made)[region].ravel())
        outside = max(outside, _changed(picture, made, region))
    apart = np.concatenate(inside)
    return [
        Check("pictures, mean of 255", float(apart.mean()), MEAN * coarser),
        Check(f"pictures, {PERCENTILE} %", float(np.percentile(apart, PERCENTILE)), TAIL * coarser),
        Check("pictures outside of the mask", float(outside), 0.0),
    ]


def _changed(
    picture: NDArray[np.uint8], made: NDArray[np.uint8], region: tuple[slice, slice]
) -> int:
    difference = np.abs(picture.astype(np.int16) - made)
    difference[region] = 0
    return int(difference.max())


def _batch_independence(work: Workload, ours: Contender, rows: list[int]) -> Check:
    """A frame's picture must not depend on the rest of its batch, nor on its place in it.

    Half of a batch is exchanged for frames that were not in it, and the rest is shuffled.
    """
    dtype = ours.networks.dtype
    alone = ours.paint(*work.inputs(rows, dtype)).float()
    kept = np.random.default_rng(0).permutation(len(rows))[: max(len(rows) // 2, 1)].tolist()
    others = work.batch(rows[-1] + 1, len(rows) - len(kept))
    made = ours.paint(*work.inputs([rows[n] for n in kept] + others, dtype)).float()
    apart = float((made[: len(kept)] - alone[kept]).abs().mean())
    return Check("the same frame in another batch, mean of 255", apart, MEAN * _coarser(dtype))


def _coarser(dtype: torch.dtype) -> float:
    """Times coarser than float16."""
    return torch.finfo(dtype).eps / torch.finfo(torch.float16).eps
