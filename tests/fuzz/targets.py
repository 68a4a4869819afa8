"""The parsers that get bytes of strangers, each as a function of bytes that must not raise.

A target lets through the refusals that its caller expects, and nothing else: any other exception is
a fault. tests/fuzz/corpus/NAME holds inputs of each that reach far, or that were faults once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")

Check = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A function of bytes, and the packages whose branches show that an input is a new one."""

    place: str  # of the function or its context manager, in a module of this folder
    packages: tuple[str, ...]

    def open(self) -> AbstractContextManager[Check]:
        """The function, for as long as the block lasts; its imports are heavy."""
        module, _, name = self.place.partition(".")
        found = getattr(importlib.import_module(f"tests.fuzz.{module}"), name)
        return nullcontext(found) if name == "check" else found()


TARGETS = {
    "sdp": Target("sdp.check", ("lipstream.server.rtc", "aiortc.sdp")),
    "rtcp": Target("rtcp.check", ("lipstream.server.rtc", "aiortc.rtp", "aiortc.rtcdtlstransport")),
    "datagrams": Target("datagrams.check", ("lipstream.server.rtc", "aioice")),
    "avatar": Target("avatar.check", ("lipstream.avatar", "zipfile", "numpy.lib")),
    "settings": Target("settings.check", ("lipstream.cli", "tomllib", "click")),
    "websocket": Target("connections.websocket", ("lipstream.server", "websockets")),
    "http": Target("connections.http", ("lipstream.server", "h11")),
}


def check_sentence(error: Exception) -> None:
    """Fail unless a refusal is one printable line."""
    text = str(error)
    assert text and "\n" not in text and "\r" not in text, f"not a sentence: {text!r}"
