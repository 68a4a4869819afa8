"""Faces that the puppet makes talk, cut as the product cuts them for MuseTalk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionConfig
from lipstream.media.image import Box, Floats, Image
from lipstream.rendering.base import FrameRequest
from lipstream.rendering.musetalk.compositing.blend import crop_face
from lipstream.rendering.musetalk.preprocess.face_box import landmarks_68
from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings, configured_box
from lipstream.rendering.puppet.renderer import PuppetRenderer
from lipstream.speech.articulation.network import JAW
from lipstream.timeline import FPS
from training.neural.portraits import Portrait, variant
from training.neural.speech_corpus import SpeechCorpus

SIDE = 256
SHIFT = 0.02  # standard deviation of a box's place and size, in box widths
_PICTURES = ("references", "faces")
_STILL = MotionConfig(blink=False, sway=False)


@dataclass(frozen=True, slots=True, eq=False)
class FaceCorpus:
    """Takes: a face as its portrait shows it, and frames of it that talk."""

    references: Image  # (takes, 256, 256, 3)
    faces: Image  # (frames, 256, 256, 3)
    take: NDArray[np.int64]  # (frames,) of each
    piece: NDArray[np.int64]  # (frames,) what it says: a piece of the speech corpus
    frame: NDArray[np.int64]  # (frames,) and when, in frames of 25 fps

    def save(self, folder: Path) -> None:
        np.save(folder / "references.npy", self.references)
        np.save(folder / "faces.npy", self.faces)
        np.savez(folder / "takes.npz", take=self.take, piece=self.piece, frame=self.frame)

    @classmethod
    def load(cls, folder: Path) -> FaceCorpus:
        """Mapped, not read: the faces are a gigabyte."""
        with np.load(folder / "takes.npz") as file:
            said = file["take"], file["piece"], file["frame"]
        references, faces = (np.load(folder / f"{name}.npy", "r") for name in _PICTURES)
        return cls(references, faces, *said)


def make_faces(
    portraits: Mapping[str, Portrait], speech: SpeechCorpus, seed: int, takes: int, frames: int
) -> FaceCorpus:
    """`takes` variants of the portraits in turn, `frames` of each from anywhere in the speech."""
    dice, renderer = np.random.default_rng(seed), PuppetRenderer(FPS, _STILL)
    references, faces, said = list[Image](), list[Image](), list[tuple[int, int, int]]()
    names = list(portraits)
    while len(references) < takes:
        one, other = names[len(references) % len(names)], str(dice.choice(names))
        avatar = variant(portraits[one], portraits[other], dice)
        box = None if avatar is None else _box(avatar, dice)
        if avatar is None or box is None:
            continue  # bent too far; the next one differs
        chosen = [_moment(speech, dice) for _ in range(frames)]
        poses: list[Floats] = [speech.frame_poses(piece)[frame] for piece, frame in chosen]
        pictures = renderer.render([FrameRequest(avatar, 0, pose) for pose in poses])
        said += [(len(references), *moment) for moment in chosen]
        references.append(crop_face(avatar.frames[0].pixels, box, SIDE))
        faces += [crop_face(np.asarray(picture), box, SIDE) for picture in pictures]
    take, piece, frame = np.array(said, np.int64).T
    return FaceCorpus(np.stack(references), np.stack(faces), take, piece, frame)


def _moment(speech: SpeechCorpus, dice: np.random.Generator) -> tuple[int, int]:
    """Any frame of the speech, every other time the most open one of three."""
    found = []
    for _ in range(int(dice.choice([1, 3]))):
        piece = int(dice.integers(len(speech)))
        poses = speech.frame_poses(piece)
        frame = int(dice.integers(len(poses)))
        found.append((float(poses[frame, JAW]), piece, frame))
    return max(found)[1:]


def _box(avatar: Avatar, dice: np.random.Generator) -> Box | None:
    """The box of v1.5, a little beside its place."""
    frame = avatar.frames[0]
    assert frame.landmarks is not None
    settings = FaceSettings.published("v15")
    box = configured_box(landmarks_68(frame.landmarks), settings, frame.pixels.shape[0])
    if box is None:
        return None
    x, y, grow = (round(value) for value in dice.normal(0, SHIFT, 3) * box.width)
    return Box(box.left + x - grow, box.top + y - grow, box.right + x + grow, box.bottom + y + grow)
