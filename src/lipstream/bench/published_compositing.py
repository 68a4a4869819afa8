"""A painted face put back into its picture the way MuseTalk's published live script does it."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image as Pillow

from lipstream.media.image import Image
from lipstream.rendering.musetalk.compositing.blend import BlendPlan, crop_square


def compose_as_published(picture: Image, face: Image, plan: BlendPlan) -> Image:
    """A copy of `picture` with `face`: the whole picture goes through Pillow, copies and all."""
    square = crop_square(plan.box)
    mask = Pillow.new("L", (square.width, square.height))
    offset = plan.region.within(square)
    mask.paste(Pillow.fromarray(plan.mask), (offset.left, offset.top))
    fitted = cv2.resize(face, (plan.box.width, plan.box.height))
    body = Pillow.fromarray(picture.copy()[:, :, ::-1])  # the script works on BGR
    cut = body.crop((square.left, square.top, square.right, square.bottom))
    corner = plan.box.within(square)
    cut.paste(Pillow.fromarray(fitted[:, :, ::-1]), (corner.left, corner.top))
    body.paste(cut, (square.left, square.top), mask)
    return np.asarray(np.array(body)[:, :, ::-1], np.uint8)
