"""Debian's Firefox, driven by WebDriver BiDi (W3C), which Firefox itself speaks: no driver between.

Playwright drives a build of its own only, and geckodriver's packages download at installation.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from websockets.sync.client import ClientConnection, connect

from tests.polling import poll

NAMES = ("firefox-esr", "firefox")
START_S = 60.0  # until Firefox listens
ANSWER_S = 60.0  # until it answers a command
TIMEOUT_S = 30.0  # for anything that has to happen, on any machine
PREFERENCES = {
    "media.autoplay.default": 0,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,
    # Without these it looks for updates, settings and codecs at its makers.
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "",
}


def find_firefox() -> str | None:
    """The path of this machine's Firefox, if it has one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class FirefoxPage:
    """One tab."""

    def __init__(self, connection: ClientConnection, process: int) -> None:
        self._process = process  # its id
        self._connection = connection
        self._number = 0
        self._command("session.new", capabilities={})
        self._context = self._command("browsingContext.getTree")["contexts"][0]["context"]

    def processes(self) -> list[psutil.Process]:
        """All of this Firefox."""
        first = psutil.Process(self._process)
        return [first, *first.children(recursive=True)]

    def goto(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._command("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, function: str, *arguments: object) -> Any:
        """Call a JavaScript function as if the user had just clicked; return its JSON.

        AssertionError when it throws. A promise is awaited.
        """
        given = ", ".join(map(json.dumps, arguments))
        answer = self._call(f"async () => JSON.stringify(await ({function})({given}) ?? null)")
        return json.loads(answer["value"])

    def wait_for(self, function: str, *arguments: object, seconds: float = TIMEOUT_S) -> Any:
        """Return the first true result of a JavaScript function; AssertionError without one."""
        return poll(lambda: self.evaluate(function, *arguments), seconds, lambda: function)

    def set_files(self, selector: str, *files: Path) -> None:
        """Choose files in a file input, as a user does."""
        node = self._call(f"() => document.querySelector({json.dumps(selector)})")
        self._command(
            "input.setFiles",
            context=self._context,
            element={"sharedId": node["sharedId"]},
            files=[str(path) for path in files],
        )

    def _call(self, function: str) -> dict[str, Any]:
        answer = self._command(
            "script.callFunction",
            functionDeclaration=function,
            awaitPromise=True,
            userActivation=True,
            target={"context": self._context},
        )
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return dict(answer["result"])

    def _command(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        self._connection.send(json.dumps(command))
        while True:
            answer = json.loads(self._connection.recv(timeout=ANSWER_S))
            if answer.get("id") == self._number:
                assert answer["type"] == "success", answer
                return dict(answer["result"])


@contextmanager
def open_firefox(path: str, profile: Path) -> Iterator[FirefoxPage]:
    """Start Firefox with an empty `profile` and end it afterwards."""
    lines = (f"user_pref({json.dumps(n)}, {json.dumps(v)});\n" for n, v in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    command = [path, "--headless", "--no-remote", "--profile", str(profile)]
    with (profile / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--remote-debugging-port", "0", "about:blank"],
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(profile)},
        )
        try:
            with connect(_address(process, profile), max_size=None) as connection:
                yield FirefoxPage(connection, process.pid)
        finally:
            process.terminate()
            process.wait(20)


def _address(process: subprocess.Popen[bytes], profile: Path) -> str:
    """The address at which Firefox listens, which it writes into its profile."""
    told = profile / "WebDriverBiDiServer.json"
    log = profile / "log.txt"

    def read() -> str | None:
        assert process.poll() is None, log.read_text()
        text = told.read_text() if told.exists() else ""
        return text if text.endswith("}") else None

    place = json.loads(poll(read, START_S, log.read_text) or "")
    return f"ws://{place['ws_host']}:{place['ws_port']}/session"
