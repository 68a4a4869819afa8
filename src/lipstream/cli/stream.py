"""`lipstream stream`: a live avatar, pushed to a server of streams."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import urlsplit

import click

from lipstream.cli.options.musetalk import musetalk_options
from lipstream.cli.options.option import option, path_option
from lipstream.cli.options.shared import backend_option, motion_options
from lipstream.cli.standard_input import local_file
from lipstream.config import MotionConfig, MuseTalkConfig

EPILOG = (
    "Example: lipstream stream --avatar face.png --audio speech.wav --to rtmp://127.0.0.1/live/a"
)


@click.command(epilog=EPILOG)
@path_option("--avatar", required=True, help="A portrait, a clip of a person, or an .avatar file.")
@option("--to", "url", required=True, help="Where the stream goes: rtmp:// or rtmps://.")
@path_option("--audio", help="Speech: any audio file; - for a pipe. Without it the avatar idles.")
@option(
    "--seconds",
    type=click.FloatRange(0.04),
    help="End after so long. By default when AUDIO was spoken, without it at Ctrl-C.",
)
@backend_option
@musetalk_options
@motion_options
def stream(
    avatar: Path,
    url: str,
    audio: Path | None,
    seconds: float | None,
    backend: str,
    musetalk: MuseTalkConfig,
    motion: MotionConfig,
) -> None:
    """Push AVATAR, live, to a server of streams; try again when that is gone."""
    from lipstream.avatar.builder import open_avatar
    from lipstream.config import RuntimeOptions
    from lipstream.engine import open_engine
    from lipstream.live.scheduler.scheduler import Scheduler
    from lipstream.live.session.session import Session
    from lipstream.push.broadcast import broadcast
    from lipstream.push.rtmp_push import RtmpPush
    from lipstream.push.wire import PushTarget, check_push_url

    check_push_url(url, "--to")
    host = urlsplit(url).hostname

    def on_lost(reason: str, wait_s: float) -> None:
        click.echo(f"{host}: {reason}; trying again in {wait_s:.0f} s.", err=True)

    live = RuntimeOptions(live=True)
    with (
        contextlib.nullcontext() if audio is None else local_file(audio) as sound,
        open_engine(backend, motion=motion, musetalk=musetalk, runtime=live) as engine,
        Scheduler(engine) as scheduler,
    ):
        shown = engine.prepare(open_avatar(avatar))
        with Session(shown, scheduler) as session:
            push = RtmpPush(PushTarget(url, *shown.size), on_lost)
            asyncio.run(broadcast(session, push, sound, seconds))
    click.echo(f"{host}: {push.sent} units sent, {push.left_out} left out")
