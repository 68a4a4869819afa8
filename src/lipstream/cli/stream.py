"""`lipstream stream`: a live avatar, pushed by RTMP or WHIP, or into a virtual camera."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from lipstream.cli.options.musetalk import musetalk_options
from lipstream.cli.options.option import option, path_option
from lipstream.cli.options.shared import backend_option, motion_options
from lipstream.cli.standard_input import local_file
from lipstream.config import MotionConfig, MuseTalkConfig
from lipstream.errors import OptionError

if TYPE_CHECKING:
    from lipstream.push.live_push import LivePush, OnLost

EPILOG = (
    "Example: lipstream stream --avatar face.png --audio speech.wav --to rtmp://127.0.0.1/live/a"
)


@click.command(epilog=EPILOG)
@path_option("--avatar", required=True, help="A portrait, a clip of a person, or an .avatar file.")
@option(
    "--to",
    "url",
    required=True,
    help="Where the stream goes: rtmp:// or rtmps://, the https:// of an endpoint of WHIP, or the "
    "/dev/videoN of a virtual camera.",
)
@option("--push-token", "token", help="The bearer token of an endpoint of WHIP.")
@path_option("--audio", help="Speech: any audio file; - for a pipe. Without it the avatar idles.")
@option(
    "--seconds",
    type=click.FloatRange(0.04),
    help="End so long after the first connection. By default when AUDIO was spoken, else at "
    "Ctrl-C.",
)
@backend_option
@musetalk_options
@motion_options
def stream(
    avatar: Path,
    url: str,
    token: str | None,
    audio: Path | None,
    seconds: float | None,
    backend: str,
    musetalk: MuseTalkConfig,
    motion: MotionConfig,
) -> None:
    """Push AVATAR, live, to a server of streams, and again when that is gone; or to a virtual
    camera."""
    from lipstream.avatar.builder import open_avatar
    from lipstream.config import RuntimeOptions
    from lipstream.engine import open_engine
    from lipstream.live.scheduler.scheduler import Scheduler
    from lipstream.live.session.session import Session
    from lipstream.push.broadcast import broadcast
    from lipstream.push.live_push import PushRefusedError

    opened = _push_of(url, token)
    target = urlsplit(url).hostname or url

    def on_lost(reason: str, wait_s: float) -> None:
        click.echo(f"{target}: {reason}; trying again in {wait_s:.0f} s.", err=True)

    live = RuntimeOptions(live=True)
    with (
        contextlib.nullcontext() if audio is None else local_file(audio) as sound,
        open_engine(backend, motion=motion, musetalk=musetalk, runtime=live) as engine,
        Scheduler(engine) as scheduler,
    ):
        shown = engine.prepare(open_avatar(avatar))
        with Session(shown, scheduler) as session, opened(shown.size, on_lost) as push:
            try:
                asyncio.run(broadcast(session, push, sound, seconds))
            except PushRefusedError as error:
                given = "--to" if url == target else "--to and --push-token"
                raise PushRefusedError(f"{target}: {error}; check {given}.") from error
    click.echo(f"{target}: {push.sent} frames sent, {push.left_out} left out")


def _push_of(
    url: str, token: str | None
) -> Callable[[tuple[int, int], OnLost], contextlib.AbstractContextManager[LivePush]]:
    """A function that opens the push of pictures of a size. OptionError for what is no address."""
    from lipstream.push.camera_push import DEVICES, CameraPush
    from lipstream.push.rtmp_push import RtmpPush
    from lipstream.push.wire import PushTarget, check_push_url

    if url.partition("://")[0] in ("http", "https"):
        return _whip_push_of(url, token)
    is_camera = url.startswith(DEVICES)
    if not is_camera:
        check_push_url(url, "--to")
    if token is not None:
        raise OptionError("--push-token is for WHIP; the key of RTMP is a part of the address.")

    @contextlib.contextmanager
    def opened(size: tuple[int, int], on_lost: OnLost) -> Iterator[LivePush]:
        if is_camera:
            yield CameraPush(Path(url), size, on_lost)
        else:
            yield RtmpPush(PushTarget(url, *size), on_lost)

    return opened


def _whip_push_of(
    url: str, token: str | None
) -> Callable[[tuple[int, int], OnLost], contextlib.AbstractContextManager[LivePush]]:
    from lipstream.server.required_packages import check_installed

    check_installed()
    from lipstream.server.outputs.push_address import PushAddress
    from lipstream.server.outputs.whip_endpoint import WhipEndpoint
    from lipstream.server.outputs.whip_push import WhipPush, publishing
    from lipstream.server.rtc.media_sender import MediaWorkers
    from lipstream.server.rtc.publisher import Publisher
    from lipstream.server.rtc.settings import TransportSettings

    address = PushAddress.parse(url)
    if address is None:
        raise OptionError("--to is no address of WHIP; write https://example.org/whip.")
    endpoint = WhipEndpoint(address, token, lambda _: True)

    @contextlib.contextmanager
    def opened(size: tuple[int, int], on_lost: OnLost) -> Iterator[LivePush]:
        with contextlib.closing(MediaWorkers(1)) as workers:
            yield WhipPush(
                endpoint,
                lambda source, on_closed: Publisher(
                    source, publishing(TransportSettings()), workers, on_closed=on_closed
                ),
                on_lost,
            )

    return opened
