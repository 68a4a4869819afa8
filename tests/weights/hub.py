"""A stand-in for the Hugging Face hub: repositories in memory behind a server on this machine.

It speaks what `huggingface_hub` asks for a file: HEAD and GET of /{repository}/resolve/{revision}/
{file}, with commit, hash, size, ranges, and the hub's codes for what it refuses. Large files are
announced there and lie elsewhere, on another host, as the hub's do.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import huggingface_hub

STORE = "/store"
LARGE = 64  # bytes; larger files have the SHA-256 as their tag, as in Git LFS


@dataclass
class FakeRepository:
    """One commit with its files."""

    files: dict[str, bytes]
    commit: str = "c0ffee" + 34 * "0"
    gated: bool = False
    announced: dict[str, bytes] = field(
        default_factory=dict
    )  # announced instead of the true content


@dataclass
class FakeHub:
    """The content of the server, its faults, and the requests it got."""

    repositories: dict[str, FakeRepository] = field(default_factory=dict)
    url: str = ""
    store: str = ""  # the address of large files; another host by its name
    cut_after: int | None = None  # bytes after which the next large answer breaks off, once
    status: int | None = None  # answered to everything
    token: str | None = None  # the one that opens gated repositories
    gets: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range
    leaks: int = 0  # tokens that came to the address of large files


@contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Run the server for a while."""

    class Handler(_Handler):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.store = f"http://localhost:{server.server_port}{STORE}"
    try:
        yield hub
    finally:
        # The client keeps its connections for the next question, and the server a thread for each.
        huggingface_hub.close_session()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    served: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        if not self.path.startswith(STORE):
            self.served.gets.append((self.path, self.headers["Range"]))
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub = self.served
        if hub.status is not None:
            return self._refuse(hub.status)
        stored = self.path.startswith(STORE)
        repository, _, rest = self.path.removeprefix(STORE).strip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        held = hub.repositories.get(repository)
        if held is None:
            return self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound")
        if stored:
            hub.leaks += "Authorization" in self.headers
            return self._give(held, name, body)
        if held.gated and self.headers["Authorization"] != f"Bearer {hub.token}":
            return self._refuse(HTTPStatus.FORBIDDEN, "GatedRepo")
        if revision not in ("main", held.commit):
            return self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound")
        if name not in held.files:
            return self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound")
        if len(held.files[name]) > LARGE:
            return self._send_away(held, name)
        self._give(held, name, body)

    def _send_away(self, held: FakeRepository, name: str) -> None:
        content = held.files[name]
        self.send_response(HTTPStatus.FOUND)
        self.send_header("Location", self.served.store + self.path)
        self.send_header("X-Repo-Commit", held.commit)
        self.send_header("X-Linked-ETag", f'"{_tag(held.announced.get(name, content))}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _give(self, held: FakeRepository, name: str, body: bool) -> None:
        content = held.files[name]
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("X-Repo-Commit", held.commit)
        self.send_header("ETag", f'"{_tag(held.announced.get(name, content))}"')
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        cut = self.served.cut_after
        if cut is not None and len(content) > LARGE:
            self.served.cut_after = None
            self.wfile.write(content[start : start + cut])
            self.close_connection = True
            return
        self.wfile.write(content[start:])

    def _refuse(self, status: int, code: str | None = None) -> None:
        self.send_response(status)
        if code is not None:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _tag(content: bytes) -> str:
    if len(content) > LARGE:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
