"""The workers behind a front: their ids and addresses, from whoever supervises them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from lipstream.errors import OptionError
from lipstream.server.settings import WORKER_ID

ADDRESS = re.compile(r"http://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?/?")


class WorkerPool(Protocol):
    """A set of workers that may change."""

    async def workers(self) -> Mapping[str, str]:
        """Their ids and base URLs, at this moment. Called often."""
        ...

    async def hung(self, worker: str) -> None:
        """The worker has not answered for long: whoever supervises it may replace it."""
        ...


class FixedWorkers:
    """Workers that somebody else supervises: systemd, Kubernetes, another machine."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = dict(urls)

    async def workers(self) -> Mapping[str, str]:
        return self._urls

    async def hung(self, worker: str) -> None:
        """Nothing can be done about it from here."""


def named_worker(text: str) -> tuple[str, str]:
    """The id and base URL in "w1=http://10.0.0.1:8080"; OptionError for anything else."""
    worker, _, url = text.partition("=")
    try:
        good = WORKER_ID.fullmatch(worker) and ADDRESS.fullmatch(url) and urlsplit(url).port != 0
    except ValueError:  # a port beyond 65535
        good = None
    if not good:
        raise OptionError(
            f"--worker: {text!r} names no worker; write ID=URL, such as w1=http://10.0.0.1:8080, "
            "with the worker's own --worker-id."
        )
    return worker, url.rstrip("/")
