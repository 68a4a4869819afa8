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
from lipstream.media.i420 import BT601, StillPlanes, pad_to_even, to_i420
from lipstream.media.image import Box, Image, Picture
from lipstream.rendering.base import FrameRequest, PixelFormat
from lipstream.rendering.puppet.portrait import Portrait, prepare_portrait
from lipstream.rendering.puppet.pose import REST, Pose, pose_of
from lipstream.rendering.puppet.video.clip import Clip, prepare_clip


class _Slot:
    """Room for what is computed once for one avatar."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.puppet: Portrait | Clip | None = None
        self.planes: StillPlanes | None = None  # of a portrait that is drawn as I420


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
        self._slot(avatar)
        return avatar

    def moving_part(self, avatar: Avatar) -> Box | None:
        puppet = self._slot(avatar).puppet
        return puppet.region if isinstance(puppet, Portrait) else None

    def render(self, requests: Sequence[FrameRequest]) -> list[Picture]:
        """One picture per request, of the avatar's own size; as I420, odd sides are made even."""
        return [self._picture(request) for request in requests]

    def render_parts(self, requests: Sequence[FrameRequest]) -> list[Image]:
        parts = []
        for request in requests:
            puppet = self._slot(request.avatar).puppet
            assert isinstance(puppet, Portrait), "a clip has no moving part"
            parts.append(puppet.render_part(*self._moment(request)))
        return parts

    def _picture(self, request: FrameRequest) -> Picture:
        slot = self._slot(request.avatar)
        puppet, planes = slot.puppet, slot.planes
        if isinstance(puppet, Portrait):
            if planes is None:
                return puppet.render(*self._moment(request))
            return planes.with_part(planes.part(puppet.render_part(*self._moment(request))))
        assert puppet is not None
        picture = puppet.render(request.avatar, request.index, self._fps, _pose(request))
        return to_i420(pad_to_even(picture), BT601) if self._i420 else picture

    def _moment(self, request: FrameRequest) -> tuple[int, Fraction, Pose, MotionConfig]:
        """The index, rate, pose and motion by which a portrait is drawn."""
        motion = self._motion
        if request.motion is not None:
            motion = replace(motion, level=request.motion)
        return request.index, self._fps, _pose(request), motion

    def _slot(self, avatar: Avatar) -> _Slot:
        """The slot of `avatar` with what is in it."""
        with self._lock:
            slot = self._prepared.setdefault(avatar, _Slot())
        # Preparing takes a second for a clip: only requests for the same avatar wait.
        with slot.lock:
            if slot.puppet is None:
                puppet = _prepare(avatar)
                if self._i420 and isinstance(puppet, Portrait):
                    slot.planes = StillPlanes(puppet.image, puppet.region, BT601)
                slot.puppet = puppet
            return slot


def _pose(request: FrameRequest) -> Pose:
    if request.conditioning is None:
        return REST
    return pose_of(request.conditioning).scaled(request.blend_weight)


def _prepare(avatar: Avatar) -> Portrait | Clip:
    if avatar.moving:
        return prepare_clip(avatar)
    frame = avatar.frames[0]
    if frame.landmarks is None:
        raise FaceError("the avatar's picture has no face; prepare it again from a portrait.")
    return prepare_portrait(frame.pixels, frame.landmarks)
