"""The puppet renderer: articulation in, pictures out, for portraits and clips."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from weakref import WeakKeyDictionary

from lipstream.avatar.avatar import Avatar
from lipstream.config import MotionConfig, Progress
from lipstream.errors import FaceError
from lipstream.media.i420 import BT601, pad_to_even, to_i420
from lipstream.media.image import Box, Image, Picture
from lipstream.rendering.base import FrameRequest, PixelFormat
from lipstream.rendering.puppet.portrait import Portrait, prepare_portrait
from lipstream.rendering.puppet.pose import REST, pose_of
from lipstream.rendering.puppet.video.clip import Clip, prepare_clip


class _Slot:
    """Room for what is computed once for one avatar."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.puppet: Portrait | Clip | None = None


class PuppetRenderer:
    """Moves photos by dense flow. Safe to share between threads and streams.

    What it computes once per avatar is kept as long as the avatar itself.
    """

    def __init__(
        self, fps: Fraction, motion: MotionConfig, pixel_format: PixelFormat = "rgb24"
    ) -> None:
        self._fps, self._motion = fps, motion
        self._i420 = pixel_format == "i420"
        self._prepared: WeakKeyDictionary[Avatar, _Slot] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def prepare(self, avatar: Avatar, progress: Progress | None = None) -> Avatar:
        """Measure the mouth and compute the flow of `avatar`, if not done before."""
        self._puppet(avatar)
        return avatar

    def moving_part(self, avatar: Avatar) -> Box | None:
        puppet = self._puppet(avatar)
        return puppet.region if isinstance(puppet, Portrait) else None

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One picture per request, of the avatar's own size; as I420, odd sides are made even."""
        pictures = [self._draw(request) for request in requests]
        return [to_i420(pad_to_even(one), BT601) for one in pictures] if self._i420 else pictures

    def _draw(self, request: FrameRequest) -> Image:
        puppet = self._puppet(request.avatar)
        pose = REST
        if request.conditioning is not None:
            pose = pose_of(request.conditioning).scaled(request.blend_weight)
        if isinstance(puppet, Portrait):
            motion = self._motion
            if request.motion is not None:
                motion = replace(motion, level=request.motion)
            return puppet.render(request.index, self._fps, pose, motion)
        return puppet.render(request.avatar, request.index, self._fps, pose)

    def _puppet(self, avatar: Avatar) -> Portrait | Clip:
        with self._lock:
            slot = self._prepared.setdefault(avatar, _Slot())
        # Preparing takes a second for a clip: only requests for the same avatar wait.
        with slot.lock:
            if slot.puppet is None:
                slot.puppet = _prepare(avatar)
            return slot.puppet


def _prepare(avatar: Avatar) -> Portrait | Clip:
    if avatar.moving:
        return prepare_clip(avatar)
    frame = avatar.frames[0]
    if frame.landmarks is None:
        raise FaceError("the avatar's picture has no face; prepare it again from a portrait.")
    return prepare_portrait(frame.pixels, frame.landmarks)
