"""The faces of an avatar, prepared once: boxes, latents and masks; each frame keeps its index."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Arrays, Avatar, AvatarFrame, join_ragged, split_ragged
from lipstream.config import FACE_SIZES, VERSIONS, Progress
from lipstream.errors import ArchiveError, FaceError, OptionError
from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.musetalk.compositing import blend
from lipstream.rendering.musetalk.compositing.blend import BlendPlan
from lipstream.rendering.musetalk.preprocess import masks
from lipstream.rendering.musetalk.preprocess.face_box import face_box, landmarks_68, with_margin

# (b, 3, side, side) RGB in -1..1 -> (b, 4, side / 8, side / 8), the posterior's mean, unscaled.
Encode: TypeAlias = Callable[[Floats], Floats]
Locate: TypeAlias = Callable[[Image], Floats]  # picture -> (68, 2) landmarks
Parse: TypeAlias = Callable[[Image], masks.Labels]  # square around the face -> (512, 512) labels

NAME = "musetalk"  # in `Avatar.extras` and in the avatar's file
SCALING = 0.18215  # latents of the published autoencoder have about unit variance after this
SHRINK = 8  # pixels per latent
BATCH = 4  # faces per call of the autoencoder; each is encoded masked and whole


@dataclass(frozen=True, slots=True)
class FaceSettings:
    """Everything that decides what is prepared; what is stored is used only when all agree."""

    version: str = "v15"
    face_size: int = 256  # pixels of the network's input
    bbox_shift: int = 0  # pixels by which the box's middle moves down
    margin: int = 10  # pixels added below the chin
    mask: str = "jaw"  # one of masks.MODES
    cheeks: tuple[int, int] = (90, 90)  # pixels of 512 left and right of the middle
    feather: float = blend.FEATHER
    landmarks: str = "mesh"  # source of the 68 points: mesh, or dwpose
    labels: str = "mesh"  # source of the mask: mesh, or bisenet
    checkpoint: str = ""  # names the weights of the autoencoder, e.g. their SHA-256

    def __post_init__(self) -> None:
        if self.version not in VERSIONS:
            raise OptionError(f"there is no MuseTalk {self.version!r}; use v15 or v1.")
        if self.face_size not in FACE_SIZES:
            raise OptionError(f"face_size must be 256 or 512 pixels, not {self.face_size}.")
        masks.check_mode(self.mask)

    @classmethod
    def published(cls, version: str, bbox_shift: int = 0) -> FaceSettings:
        """The settings that each version was published with; 1.5 ignores `bbox_shift`."""
        if version == "v1":
            return cls("v1", bbox_shift=bbox_shift, margin=0, mask="raw", cheeks=(80, 80))
        return cls(version)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedFaces:
    """The faces of one avatar, a row per frame."""

    settings: FaceSettings
    latents: Floats  # (frames, 8, h, w): four masked, four whole; zeros without a face
    squares: tuple[Box | None, ...]  # around each face, for its mask; None without a face
    plans: tuple[BlendPlan | None, ...]  # None without a face

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Everything as arrays that need no pickle, for `from_arrays`."""
        none = np.zeros((0, 0), np.uint8)
        return {
            "face_latent": self.latents,
            **join_ragged("mask", [none if plan is None else plan.mask for plan in self.plans]),
            "box": _rows([None if plan is None else plan.box for plan in self.plans]),
            "region": _rows([None if plan is None else plan.region for plan in self.plans]),
            "square": _rows(self.squares),
            "found": np.array([plan is not None for plan in self.plans]),
            "settings": np.array(json.dumps(asdict(self.settings), sort_keys=True)),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> PreparedFaces:
        """`ArchiveError` when the arrays were not made by `to_arrays`."""
        try:
            stored = json.loads(str(arrays["settings"]))
            settings = FaceSettings(**{**stored, "cheeks": tuple(stored["cheeks"])})
            latents, found = arrays["face_latent"], arrays["found"].tolist()
            side = settings.face_size // SHRINK
            if latents.shape != (len(found), 8, side, side) or latents.dtype != np.float32:
                raise ValueError("face_latent")
            parts = split_ragged(arrays["mask"], arrays["mask_shapes"])
            boxes, regions, squares = (
                [Box(*map(int, row)) for row in arrays[name].tolist()]
                for name in ("box", "region", "square")
            )
            plans: list[BlendPlan | None] = []
            for face, box, region, mask in zip(found, boxes, regions, parts, strict=True):
                if face and (max(region.height, 0), max(region.width, 0)) != mask.shape:
                    raise ValueError("mask")
                plans.append(BlendPlan(box, region, mask) if face else None)
            shown = (square if face else None for face, square in zip(found, squares, strict=True))
            return cls(settings, latents, tuple(shown), tuple(plans))
        except (KeyError, ValueError, TypeError, OptionError) as error:
            raise ArchiveError(
                "the faces that the avatar holds for the musetalk backend are damaged: prepare the "
                "avatar again with 'lipstream prepare'."
            ) from error


def attach(avatar: Avatar, faces: PreparedFaces) -> Avatar:
    """The avatar with its faces: it answers `face_latent` and `mask` and is saved with them."""
    assert len(faces.plans) == len(avatar.frames)
    return replace(avatar, extras={**avatar.extras, NAME: faces.to_arrays()})


def stored_faces(avatar: Avatar, settings: FaceSettings) -> PreparedFaces | None:
    """The faces attached with these settings, or None; `ArchiveError` when they are damaged."""
    arrays = avatar.extras.get(NAME)
    if arrays is None:
        return None
    faces = PreparedFaces.from_arrays(arrays)
    return faces if faces.settings == settings and len(faces.plans) == len(avatar.frames) else None


def prepare_faces(
    avatar: Avatar,
    encode: Encode,
    settings: FaceSettings,
    progress: Progress | None = None,
    *,
    locate: Locate | None = None,
    parse: Parse | None = None,
    scaling: float = SCALING,
    batch: int = BATCH,
) -> PreparedFaces:
    """Find, cut and encode the face of every frame; `FaceError` when no frame shows one.

    `locate` is needed for landmarks of dwpose, `parse` for labels of bisenet. A frame without
    landmarks is left without a face, whatever `locate` would find.
    """
    assert (locate is not None) == (settings.landmarks != "mesh"), settings.landmarks
    assert (parse is not None) == (settings.labels != "mesh"), settings.labels
    side = settings.face_size // SHRINK
    latents = np.zeros((len(avatar.frames), 8, side, side), np.float32)
    squares: list[Box | None] = []
    plans: list[BlendPlan | None] = []
    uncoded: list[tuple[int, Floats]] = []
    for index, frame in enumerate(avatar.frames):
        pixels = frame.pixels
        square = plan = None
        if box := _usable_box(frame, pixels, settings, locate):
            square = blend.crop_square(box)
            plan = _plan(frame, pixels, box, square, settings, parse)
            uncoded.append((index, network_input(blend.crop_face(pixels, box, settings.face_size))))
        squares.append(square)
        plans.append(plan)
        if len(uncoded) == batch or (uncoded and index == len(avatar.frames) - 1):
            means = encode(np.concatenate([pair for _, pair in uncoded])) * np.float32(scaling)
            assert means.shape[:2] == (2 * len(uncoded), 4), means.shape
            latents[[row for row, _ in uncoded]] = means.reshape(-1, 8, *means.shape[2:])
            uncoded.clear()
        if progress is not None:
            progress(index + 1, len(avatar.frames))
    if not any(plans) and avatar.report.faces_found:  # a part of a clip may have none
        raise FaceError("the avatar shows no face in any frame; prepare it from another source.")
    latents.flags.writeable = False
    return PreparedFaces(settings, latents, tuple(squares), tuple(plans))


def configured_box(
    landmarks: Floats, settings: FaceSettings, height: int, detected: Box | None = None
) -> Box | None:
    """The box of (68, 2) landmarks by the rules of the version, in a picture of `height`."""
    shift = settings.bbox_shift if settings.version == "v1" else 0
    box = face_box(landmarks, detected, shift)
    return with_margin(box, settings.margin, height) if box and settings.margin else box


def network_input(face: Image) -> Floats:
    """A (side, side, 3) face -> (2, 3, side, side) in -1..1: its lower half black, and whole."""
    masked = face.copy()
    masked[len(face) // 2 :] = 0
    unit = np.stack([masked, face]).transpose(0, 3, 1, 2) / np.float32(255)
    return np.ascontiguousarray((unit - np.float32(0.5)) / np.float32(0.5), np.float32)


def _usable_box(
    frame: AvatarFrame, pixels: Image, settings: FaceSettings, locate: Locate | None
) -> Box | None:
    """The box of the frame's face, if some of it lies in the picture."""
    if frame.landmarks is None:
        return None
    points = landmarks_68(frame.landmarks) if locate is None else locate(pixels)
    height, width = pixels.shape[:2]
    box = configured_box(points, settings, height)
    if box is None or min(box.width, box.height) < 2:
        return None
    inside = box.clip(width, height)
    return box if inside.width > 0 and inside.height > 0 else None


def _plan(
    frame: AvatarFrame,
    pixels: Image,
    box: Box,
    square: Box,
    settings: FaceSettings,
    parse: Parse | None,
) -> BlendPlan:
    """The place of the generated face in the picture."""
    if parse is not None:
        labels = parse(blend.crop_picture(pixels, square))
    else:
        assert frame.landmarks is not None
        labels = masks.labels_from_landmarks(frame.landmarks, square)
    mask = masks.repaint_mask(labels, settings.mask, settings.cheeks)
    feathered = blend.feathered_mask(mask, box, square, settings.feather)
    return blend.plan_blend(feathered, box, square, (pixels.shape[1], pixels.shape[0]))


def _rows(boxes: Sequence[Box | None]) -> NDArray[np.int32]:
    """(n, 4) left, top, right, bottom; zeros for None."""
    rows = [astuple(box or Box(0, 0, 0, 0)) for box in boxes]
    return np.array(rows, np.int32).reshape(-1, 4)
