"""The recordings of a server: where they lie, what they are called, and what became of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from lipstream.errors import OutputError, reason_of
from lipstream.server.metrics import Metrics
from lipstream.server.outputs.recording import Recording, RecordingEnd

CLOSE_S = 10.0  # at the end of the server, for recordings that are being finished

OnEvent: TypeAlias = Callable[[str, Mapping[str, Any]], None]

log = logging.getLogger("lipstream.server")


class Recorder:
    """Keeps sessions in one folder. Used on the event loop only."""

    def __init__(self, folder: Path, metrics: Metrics, on_event: OnEvent) -> None:
        """`on_event` is told `recording.kept` and `recording.failed`."""
        self._folder, self._metrics, self._on_event = folder, metrics, on_event
        self._present: set[Recording] = set()
        self._changed = asyncio.Event()

    def record(self, session_id: str, short_id: str, avatar_id: str) -> Recording:
        """A recording of a session that begins now. No file is made before its first unit."""
        began = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%SZ")
        path = self._folder / f"{began}_{avatar_id}_{short_id}.mp4"
        loop = asyncio.get_running_loop()

        def on_end(end: RecordingEnd) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended without waiting for it
                loop.call_soon_threadsafe(partial(self._ended, recording, names, end))

        names = {"session": session_id, "avatar": avatar_id, "short": short_id}
        recording = Recording(path, on_end)
        self._present.add(recording)
        return recording

    async def close(self) -> None:
        """Wait until all recordings have their names, for `CLOSE_S` at most."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._all_ended(), CLOSE_S)
        for recording in self._present:
            log.error("recording was not finished in time", extra={"file": recording.path.name})

    async def _all_ended(self) -> None:
        while self._present:
            self._changed.clear()
            await self._changed.wait()

    def _ended(self, recording: Recording, names: Mapping[str, str], end: RecordingEnd) -> None:
        self._present.discard(recording)
        self._changed.set()
        self._metrics.recordings.labels(end.ending).inc()
        self._metrics.recordings_left_out.inc(recording.left_out)
        who = {"session": names["session"], "avatar": names["avatar"]}
        shown = {"session": names["short"], "file": recording.path.name}
        if end.reason:
            shown["reason"] = end.reason
        if end.ending == "kept":
            counts = {"seconds": end.seconds, "captions": end.captions}
            log.info("recording kept", extra=shown | counts | {"left_out": recording.left_out})
            self._on_event("recording.kept", who | {"file": recording.path.name} | counts)
        elif end.ending == "failed":
            log.error("recording failed", extra=shown)
            self._on_event("recording.failed", who | {"reason": end.reason})


def open_folder(folder: Path) -> None:
    """Make the folder of recordings, which nobody else may read. OutputError unless files can be
    written there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"--record {folder} cannot be written: {reason_of(error)}; choose another folder."
        ) from error
