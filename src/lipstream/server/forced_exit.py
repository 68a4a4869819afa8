"""Ends the process after the second signal, whatever hangs."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

END_S = 4.0  # from the second signal to the end by force
LOG_S = 0.5  # for the last line of the log, whose lock may be what hangs
SIGNALS = (signal.SIGINT, signal.SIGTERM)

log = logging.getLogger("lipstream.server")


@contextlib.contextmanager
def forced_exit(after_s: float = END_S) -> Iterator[None]:
    """From the second signal that comes meanwhile, the process has `after_s` to end by itself; then
    it is ended with exit code 1, and its child processes with it.

    A thread of its own counts: Python calls handlers of signals in the main thread, which may be
    what hangs. Does nothing in any other thread than the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watching = threading.Thread(
        target=_watch, args=(reader, after_s), name="forced-exit", daemon=True
    )
    watching.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()  # so that the thread ends, unless it counts the seconds already


def end_with_input() -> None:
    """Begin to end, as after SIGTERM, when standard input does: whoever started this is gone."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="end-with-input", daemon=True).start()


def _watch(reader: socket.socket, after_s: float) -> None:
    """Read the numbers of signals until there were two, or until the other end is closed."""
    with reader:
        signals = 0
        while signals < 2:
            numbers = reader.recv(64)
            if not numbers:
                return
            signals += sum(number in SIGNALS for number in numbers)
    with contextlib.suppress(ValueError, OSError, RuntimeError):  # a stderr that is no file
        faulthandler.dump_traceback_later(after_s + LOG_S, exit=True)
    threading.Event().wait(after_s)
    _kill_children()
    log.error("the server did not end in time; it is ended by force")
    os._exit(1)


def _kill_children() -> None:
    """Kill the child processes, of which one that hangs would stay; only Linux lists them."""
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread or the child has just ended
            for child in listed.read_text().split():
                os.kill(int(child), signal.SIGKILL)
