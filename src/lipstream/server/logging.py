"""One line per event: key=value for people, JSON for machines. No event holds a secret."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import time
from collections.abc import Hashable, Iterator
from typing import Any, TextIO

FORMATS = ("text", "json")
OURS, LIBRARIES = "lipstream", ("uvicorn", "asyncio", "aiortc", "aioice", "livekit")
REPEAT_S = 60.0  # between two lines of a library for the same cause
NUMBERS = re.compile(r"0x[0-9a-f]+|[0-9]+")
MAX_CAUSES = 256  # remembered; the oldest is forgotten first
STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextlib.contextmanager
def logging_to_stderr(form: str) -> Iterator[None]:
    """While this lasts: our events from INFO on, those of libraries from WARNING on."""
    handler = _Stderr()
    handler.setFormatter(_Json() if form == "json" else _Text())
    handler.addFilter(LibraryThrottle())
    loggers = [logging.getLogger(name) for name in (OURS, *LIBRARIES)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO if logger.name == OURS else logging.WARNING)
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


class LibraryThrottle(logging.Filter):
    """Lets one line of a library a minute through for each cause: clients can provoke any number,
    and a request of three bytes must not cost a hundred bytes of log each time. The next line says
    how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._causes: dict[Hashable, tuple[float, int]] = {}  # (time of the line, lines since)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == OURS:
            return True
        kind = record.exc_info[0] if record.exc_info else None
        # asyncio writes the names of objects into the message itself.
        cause = (record.name, NUMBERS.sub("#", str(record.msg)), kind)
        since, omitted = self._causes.get(cause, (-REPEAT_S, 0))
        if 0 <= record.created - since < REPEAT_S:
            self._causes[cause] = since, omitted + 1
            return False
        self._causes.pop(cause, None)
        while len(self._causes) >= MAX_CAUSES:
            del self._causes[next(iter(self._causes))]
        self._causes[cause] = record.created, 0
        if omitted:
            record.omitted = omitted
        return True


class _Stderr(logging.StreamHandler[TextIO]):
    """A handler for whatever `sys.stderr` is at that moment."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{name}={_quoted(value)}" for name, value in _fields(record).items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    """The event, and the fields given by `extra`."""
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    extra = vars(record).items()
    return {
        "time": f"{seconds}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        **{k: value for k, value in extra if k not in STANDARD_FIELDS and value is not None},
    }


def _quoted(value: Any) -> str:
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text else json.dumps(text)
