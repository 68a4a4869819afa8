"""A push into a virtual camera: a file that takes raw pictures stands in for the device."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sys
from pathlib import Path

import numpy as np
import pytest

from lipstream.live.cancellation import cancel_until_ended
from lipstream.live.session.types import Unit
from lipstream.media.image import Picture
from lipstream.push import camera_push
from lipstream.push.camera_push import CameraPush, check_camera
from lipstream.push.live_push import PushRefusedError

SOUND = np.zeros(1920, np.int16)
WHITE = np.full((63, 65, 3), 255, np.uint8)
PLANES = np.arange(96 * 66, dtype=np.uint32).astype(np.uint8).reshape(96, 66)
SIZE = (65, 63)


def unit(index: int, picture: Picture) -> Unit:
    return Unit(index, picture, SOUND, speaking=False, fresh=True)


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_push, "FORMAT", "rawvideo")
    monkeypatch.setattr(camera_push, "check_camera", lambda device: None)


@pytest.mark.usefixtures("raw")
def test_pictures_are_written_as_planes_of_even_sides(tmp_path: Path) -> None:
    device = tmp_path / "video0"

    async def scene() -> CameraPush:
        push = CameraPush(device, SIZE, lambda reason, wait_s: None)
        running = asyncio.create_task(push.run())
        await push.connected.wait()
        for index, picture in enumerate([WHITE, PLANES]):
            push.put(unit(index, picture))
        await push.end()
        await running
        return push

    push = asyncio.run(asyncio.wait_for(scene(), 20))
    assert (push.sent, push.left_out) == (2, 0)
    white, planes = np.frombuffer(device.read_bytes(), np.uint8).reshape(2, 96, 66)
    assert (white[:64] == 235).all() and (white[64:] == 128).all()  # BT.601's white
    assert np.array_equal(planes, PLANES)


@pytest.mark.usefixtures("raw")
def test_a_device_that_takes_no_more_is_tried_again() -> None:
    lost: list[str] = []

    async def scene() -> None:
        push = CameraPush(Path("/dev/full"), SIZE, lambda reason, wait_s: lost.append(reason))
        running = asyncio.create_task(push.run())
        await push.connected.wait()
        while not lost:
            push.put(unit(0, WHITE))
            await asyncio.sleep(0)
        await cancel_until_ended([running])

    asyncio.run(asyncio.wait_for(scene(), 20))
    assert lost[0] == "No space left on device"


@pytest.mark.parametrize(("capabilities", "takes"), [(0x85200002, True), (0x84A00001, False)])
def test_a_camera_must_take_pictures(
    capabilities: int, takes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ioctl(descriptor: int, request: int, answer: bytearray) -> int:
        assert (request, len(answer)) == (0x80685600, 104)
        answer[88:92] = capabilities.to_bytes(4, sys.byteorder)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    with contextlib.nullcontext() if takes else pytest.raises(OSError, match="gives pictures"):
        check_camera(Path("/dev/null"))


@pytest.mark.parametrize("device", ["/dev/null", "/dev/no-such-camera"])
def test_what_is_no_camera_is_refused(device: str) -> None:
    push = CameraPush(Path(device), SIZE, lambda reason, wait_s: None)
    with pytest.raises(PushRefusedError, match="it takes no pictures"):
        asyncio.run(push.run())
    assert push.state == "failed"
