"""Two signals end the server, whatever hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

PATIENCE_S = 30.0
ROOT = Path(__file__).parents[2]
# What hangs once the server is ready; `loop` is the event loop, `forever` an event never set.
NOTHING = "pass"
CLOSING = "FakeRuntime.close = wait_for_ever"
THREAD = "loop.run_in_executor(None, forever.wait)"
LOOP = "loop.call_later(0.1, forever.wait)"
CHILD = f"subprocess.Popen(['sleep', '1000']).send_signal(signal.SIGSTOP); {THREAD}"
PROGRAM = """
import asyncio, signal, subprocess, sys, threading
from lipstream.server.app import create_app
from lipstream.server.forced_exit import forced_exit
from lipstream.server.settings import ServeSettings
from lipstream.server.http.uvicorn_server import bind, serve
from tests.fakes import blank_avatar
from tests.server.fake_runtime import FakeRuntime

forever = threading.Event()

async def wait_for_ever(self):
    await asyncio.to_thread(forever.wait)

def ready():
    loop = asyncio.get_running_loop()
    {hang}
    loop.call_later(0.3, lambda: None)
    print("ready", flush=True)

app = create_app(ServeSettings(), None, {{"face": blank_avatar()}}, runtime=FakeRuntime())
with forced_exit(1.0), bind("127.0.0.1", 0) as bound:
    serve(app, bound, 300, ready)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("hang", "code"), [(NOTHING, 0), (CLOSING, 1), (THREAD, 1), (LOOP, 1), (CHILD, 1)]
)
def test_two_signals_end_the_server(hang: str, code: int) -> None:
    paths = os.pathsep.join([str(ROOT), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(hang=hang)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "ready\n"
            children = psutil.Process(process.pid).children()
            for number in (signal.SIGTERM, signal.SIGINT):  # two of a kind may become one
                process.send_signal(number)
            _, said = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == code, said
    assert ("ended by force" in said) == (code == 1)
    gone, alive = psutil.wait_procs(children, PATIENCE_S)
    assert not alive and len(gone) == (hang == CHILD)
