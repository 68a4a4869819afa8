"""Faces from the networks in one batch, and one of them put back into its picture by OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lipstream.media.image import Floats, Image, Picture
from lipstream.rendering.musetalk.compositing.background import Background
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.blend import blend
from lipstream.rendering.musetalk.models.vae import finite_rows, to_pictures
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks


@torch.inference_mode()
def generate_faces(
    networks: MuseTalkNetworks, requests: Sequence[FaceRequest]
) -> list[Image | None]:
    """(side, side, 3) uint8 RGB each; None for a face with a number that is not finite."""

    def tensor(arrays: Sequence[Floats]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).to(networks.device, networks.dtype)

    latents = tensor([request.faces.latents[request.frame] for request in requests])
    raw = networks.generate(latents, tensor([request.conditioning for request in requests]))
    pictures, finite = to_pictures(raw).cpu().numpy(), finite_rows(raw).tolist()
    return [picture if sound else None for picture, sound in zip(pictures, finite, strict=True)]


def composited(request: FaceRequest, face: Image | None, background: Background) -> Picture:
    """The picture with a generated face; as it is where there is none."""
    if face is None:
        return background.picture(request.frame)
    source = request.avatar.frames[request.frame].pixels
    pixels, region = blend(source, face, request.plan, request.blend_weight)
    return background.with_pixels(request.frame, source, pixels, region)
