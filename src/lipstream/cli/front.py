"""`lipstream front`: one address before workers that somebody else supervises."""

from __future__ import annotations

from collections.abc import Sequence

import click

from lipstream.cli.options.option import number, option

EPILOG = (
    "Example: lipstream front --worker w1=http://10.0.0.1:8080 --worker w2=http://10.0.0.2:8080"
)
DEFAULT_PORT = 8080


@click.command(epilog=EPILOG)
@option(
    "--worker",
    "workers",
    multiple=True,
    metavar="ID=URL",
    help="A server with its --worker-id and address; all have the same token. Repeatable.",
)
@option("--host", default="127.0.0.1", help="The address to listen on.")
@number("--port", "0 takes any free one.", DEFAULT_PORT, 0, 65535)
@option("--token", help="The token of the workers, and so of the front.")
@option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="An origin that the workers allow: its pages read refusals of the front too. Repeatable.",
)
@option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="IP",
    help="A proxy before the front whose X-Forwarded-For is believed. Repeatable.",
)
@number(
    "--upload-limit",
    "The largest file that may be uploaded, as at the workers.",
    64,
    1,
    4096,
    unit="MIB",
)
@number("--max-connections", "TCP connections at once.", 500, 16, 100_000)
@number(
    "--drain-timeout",
    "Time for utterances that are being sent through the front, after Ctrl-C or SIGTERM.",
    300,
    0,
    name="drain_timeout_s",
    unit="SECONDS",
)
@option(
    "--nginx",
    is_flag=True,
    help="Print a configuration of nginx for these workers instead of serving.",
)
@option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="The format of events on standard error, one a line.",
)
def front(
    workers: Sequence[str],
    host: str,
    port: int,
    token: str | None,
    origins: tuple[str, ...],
    trusted_proxies: tuple[str, ...],
    upload_limit: int,
    max_connections: int,
    drain_timeout_s: int,
    nginx: bool,
    log_format: str,
) -> None:
    """Serve many workers at one address: place sessions, and pass requests on."""
    from lipstream.server.required_packages import check_installed

    check_installed()
    from lipstream.cluster.front.app import Front
    from lipstream.cluster.front.serving import serve_front
    from lipstream.cluster.nginx import nginx_configuration
    from lipstream.cluster.workers import FixedWorkers, named_worker
    from lipstream.errors import OptionError
    from lipstream.server.forced_exit import forced_exit
    from lipstream.server.http.open_files import raise_open_files
    from lipstream.server.http.uvicorn_server import address_of, bind
    from lipstream.server.logging import logging_to_stderr
    from lipstream.server.settings import MEBIBYTE, ServeSettings, UploadLimits

    named = [named_worker(text) for text in workers]
    urls = dict(named)
    if not named or len(urls) < len(named):
        wrong = "is missing" if not named else "names one id twice"
        raise OptionError(f"--worker {wrong}; give each worker as ID=URL, with an id of its own.")
    settings = ServeSettings(
        host=host,
        port=port,
        token=token,
        origins=tuple(origins),
        trusted_proxies=tuple(trusted_proxies),
        uploads=UploadLimits(body=upload_limit * MEBIBYTE),
        max_connections=max_connections,
    )
    if nginx:
        click.echo(nginx_configuration(urls, f"{host}:{port}", upload_limit), nl=False)
        return
    raise_open_files(2 * max_connections)
    with bind(host, port) as bound, forced_exit(), logging_to_stderr(log_format):
        started = f"lipstream is at {address_of(bound)} (front: {len(urls)} workers elsewhere)"
        app = Front(settings, FixedWorkers(urls))
        serve_front(app, bound, drain_timeout_s, lambda: click.echo(started))
