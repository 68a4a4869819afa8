"""`lipstream serve`: live sessions in browsers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipstream.cli.options.musetalk import live_musetalk_options
from lipstream.cli.options.option import (
    NamedPath,
    number,
    option,
    path_option,
    seconds,
    several,
)
from lipstream.cli.options.shared import (
    backend_option,
    max_pixels_option,
    motion_options,
)
from lipstream.cli.options.uploads import upload_options
from lipstream.cli.progress import progress_bars
from lipstream.cli.workers import count_of_workers, serve_workers
from lipstream.config import AvatarConfig, MotionConfig, MuseTalkConfig, RuntimeOptions
from lipstream.errors import LipstreamError, OptionError, reason_of
from lipstream.server.required_packages import check_installed

if TYPE_CHECKING:
    from lipstream.avatar.avatar import Avatar
    from lipstream.engine import Engine
    from lipstream.server.settings import ServeSettings

DEFAULT_PORT = 8080
MAX_DEFAULT_WORKERS = 16  # worker processes, unless --draw-processes sets more
EPILOG = "Example: lipstream serve --avatar anna=anna.png --avatar ben=ben.mp4"


@click.command(epilog=EPILOG)
@option(
    "--host",
    default="127.0.0.1",
    help="The address to listen on. One that other machines can reach needs --token.",
)
@number("--port", "0 takes any free one.", DEFAULT_PORT, 0, 65535)
@option(
    "--workers",
    default="0",
    metavar="N|auto",
    callback=count_of_workers,
    help="Serve with so many processes behind one front; auto: one for every 4 cores, or for every "
    "GPU. 0: this process serves alone.",
)
@option("--supervised", is_flag=True, help="End when standard input does.")
@several(
    "--avatar",
    "avatars",
    "A picture, a clip or an .avatar file to offer.",
    type=NamedPath(),
    metavar="NAME=PATH",
    variable="AVATARS",
)
@option("--token", help="The token that clients must send as `Authorization: Bearer TOKEN`.")
@number("--max-sessions", "At most so many sessions, even where this machine can hold more.")
@number("--cores", "This process's share of the machine; default all it may use.", unit="N")
@option(
    "--worker-id",
    metavar="ID",
    help="The ids of sessions end in it, so that a front knows whose they are.",
)
@option(
    "--front-host",
    metavar="HOST",
    help="The --host of the front before this worker, if that is not on loopback too.",
)
@path_option(
    "--costs",
    metavar="DIR",
    help="Keep measured costs there, for processes of the same machine and options.",
)
@several(
    "--origin",
    "origins",
    "An origin whose pages may use the server, such as a proxy's own; null for pages opened as "
    "files, and so for sandboxed pages of any site.",
)
@upload_options
@path_option(
    "--record",
    metavar="DIR",
    help="Keep what is seen and heard of every session there: mp4, and WebVTT of its captions.",
)
@several(
    "--push-to",
    "push_to",
    "Sessions may be pushed to addresses below this one, such as rtmp://live.example.org/app.",
)
@several(
    "--livekit",
    "livekit",
    "Sessions may be shown in rooms of this LiveKit server, such as wss://rooms.example.org.",
)
@seconds("--idle-timeout", "A session without speech is closed after this time.", 600)
@seconds("--max-duration", "Every session is closed after this time.", 4 * 3600)
@option(
    "--drain",
    type=click.Choice(["speech", "sessions"]),
    default="speech",
    help="What Ctrl-C or SIGTERM waits for: speech that is played, or sessions until they end.",
)
@seconds("--drain-timeout", "Time to speak on after Ctrl-C or SIGTERM; a second ends it.", 300, 0)
@option(
    "--rate-limit",
    "rate",
    type=click.FloatRange(0),
    default=20,
    metavar="PER_SECOND",
    help="The limit of changing requests from one address; 0 for none.",
)
@number("--max-connections", "TCP connections at once; each is an open file.", 500, 16, 100_000)
@several(
    "--trusted-proxy",
    "trusted_proxies",
    "The address or network of a proxy whose X-Forwarded-For is believed.",
    metavar="IP",
)
@option("--public-ip", metavar="IP", help="This machine's address outside its NAT.")
@option(
    "--udp-ports", metavar="A-B", help="The range of the ports of viewers' sockets; default any."
)
@several("--stun-url", "stun_urls", "A STUN server for viewers, such as stun:stun.example.org.")
@several("--turn-url", "turn_urls", "A TURN server for viewers, who get credentials that expire.")
@option("--turn-secret", help="The TURN server's static-auth-secret.")
@option("--webhook", metavar="URL", help="Post events of sessions to this address, signed.")
@option("--webhook-secret", help="The key of the signature: whsec_ and 24 to 64 bytes in base64.")
@option(
    "--private-peers/--no-private-peers",
    default=True,
    help="Allow viewers in private networks, or only on public addresses.",
)
@option(
    "--codec", type=click.Choice(["h264", "vp8"]), help="Of the video; default h264 if viewers can."
)
@option(
    "--tts",
    metavar="URL|hibari|off",
    help="The voice that says text: any server with OpenAI's /v1/audio/speech, whose key is read "
    "from LIPSTREAM_TTS_KEY, or the embedded one; default that, if it is installed.",
)
@option("--tts-model", metavar="NAME", help="The model to ask the server of --tts for.")
@option("--tts-voice", metavar="NAME", help="The voice to ask the server of --tts for by default.")
@number(
    "--draw-processes", "puppet: workers, one a core; 0 draws in the server.", None, 0, 64, unit="N"
)
@option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="The format of events on standard error, one a line.",
)
@backend_option
@live_musetalk_options
@motion_options
@max_pixels_option
def serve(
    workers: int | None,
    supervised: bool,
    avatars: Sequence[tuple[str, Path]],
    upload_limit: int,
    avatar_space: int,
    max_pixels: int,
    tts: str | None,
    tts_model: str | None,
    tts_voice: str | None,
    draw_processes: int | None,
    log_format: str,
    backend: str,
    musetalk: MuseTalkConfig,
    motion: MotionConfig,
    **options: Any,
) -> None:
    """Serve a page with talking avatars, and the API behind it."""
    check_installed()
    from lipstream.server.app import create_app
    from lipstream.server.forced_exit import end_with_input, forced_exit
    from lipstream.server.http.open_files import raise_open_files
    from lipstream.server.http.uvicorn_server import address_of, bind
    from lipstream.server.http.uvicorn_server import serve as serve_forever
    from lipstream.server.logging import logging_to_stderr
    from lipstream.server.outputs.recorder import open_folder
    from lipstream.server.process_memory import limit_arenas, set_startup_aside
    from lipstream.server.settings import MEBIBYTE, ServeSettings, UploadLimits
    from lipstream.speech.synthesis.registry import open_synthesizer

    uploads = UploadLimits(body=upload_limit * MEBIBYTE)
    space = avatar_space * MEBIBYTE
    settings = ServeSettings(uploads=uploads, avatar_space=space, **options)
    _check_names(avatars)
    _check_data(settings)
    if settings.record is not None:
        open_folder(settings.record)
    if workers != 0:
        serve_workers(click.get_current_context(), settings, workers, backend, musetalk, log_format)
        return
    raise_open_files(settings.max_connections)
    limit_arenas()
    with bind(settings.host, settings.port) as bound:
        config = AvatarConfig(max_side=settings.max_side, max_pixels=max_pixels)
        given = _open_avatars(avatars, config, lines=log_format == "text")
        with (
            forced_exit(),
            _open_engine(backend, musetalk, motion, settings.cores, draw_processes) as engine,
            logging_to_stderr(log_format),
        ):
            synthesizer = open_synthesizer(tts, model=tts_model, voice=tts_voice)
            app = create_app(settings, engine, given, synthesizer=synthesizer)
            chosen = f"{engine.backend.name}: {engine.backend.reason}"
            started = f"lipstream is at {address_of(bound)} ({chosen})"

            def begin() -> None:
                set_startup_aside()
                click.echo(started)
                if supervised:
                    end_with_input()

            serve_forever(app, bound, settings.drain_timeout_s, begin)


def _check_names(avatars: Sequence[tuple[str, Path]]) -> None:
    names = [name for name, _ in avatars]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(f"--avatar: {name!r} is given twice; choose another name.")


def _check_data(settings: ServeSettings) -> None:
    if settings.data is None:
        return
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LipstreamError(
            f"--data {settings.data} cannot be used: {reason_of(error)}; choose another folder."
        ) from error


def _open_engine(
    name: str,
    musetalk: MuseTalkConfig,
    motion: MotionConfig,
    cores: int | None,
    processes: int | None,
) -> Engine:
    from lipstream.engine import Engine
    from lipstream.rendering.registry import open_backend
    from lipstream.server.admission import usable_cores

    if processes is None:
        processes = min(cores or usable_cores(), MAX_DEFAULT_WORKERS)
    live = RuntimeOptions(live=True, pixel_format="i420")
    return Engine(
        open_backend(name, motion=motion, musetalk=musetalk, runtime=live, processes=processes)
    )


def _open_avatars(
    avatars: Sequence[tuple[str, Path]], config: AvatarConfig, *, lines: bool
) -> dict[str, Avatar]:
    """The avatars, prepared as far as every backend needs it; the server does the rest."""
    from lipstream.avatar.builder import open_avatar

    with progress_bars(lines=lines) as new_bar:
        return {
            name: open_avatar(path, config, new_bar(f"preparing {name}")) for name, path in avatars
        }
