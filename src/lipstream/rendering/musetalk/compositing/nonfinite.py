"""Faces that the networks did not compute: some of their numbers are infinite, or no numbers.

Half precision overflows on some GPUs, and a damaged weight spreads through everything. Clamped to
bytes such a face is a black mouth; the picture is shown as it is instead. When it happens again the
faces in question are generated once more in a precision of wider range.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from lipstream.errors import LipstreamError
from lipstream.media.image import Image
from lipstream.rendering.musetalk.compositing.base import FaceRequest
from lipstream.rendering.musetalk.compositing.generated import generate_faces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks

log = logging.getLogger(__name__)

PATIENCE = 3  # faces: one may be chance, and wider networks take seconds to load, and gigabytes
MAX_FAILURES = 8  # faces in a row that the wider networks do not compute either
VERIFY = "check the weights with `lipstream models verify`"

Widen: TypeAlias = Callable[[], MuseTalkNetworks]


class NonFiniteFaces:
    """Counts them, warns of the first, and generates later ones again. Shared by all threads.

    `widen` loads the same networks in a wider precision, None where there is none. With `wait` the
    caller waits for that, as offline; else pictures are shown as they are until it is done.
    """

    def __init__(self, widen: Widen | None = None, *, wait: bool = True) -> None:
        self.count = 0  # faces so far, whatever became of them
        self._widen, self._wait = widen, wait
        self._wider: MuseTalkNetworks | None = None
        self._failures = 0
        self._lock = threading.Lock()

    def again(self, requests: Sequence[FaceRequest]) -> list[Image | None]:
        """The faces of requests that were not finite, generated again; None: show the picture."""
        if not requests:
            return []
        with self._lock:
            if self.count == 0:
                log.warning(
                    "a generated face is not finite, its picture is shown as it is; %s.", VERIFY
                )
            self.count += len(requests)
            if self.count >= PATIENCE:
                self._start_loading()
            if self._wider is None:
                return [None] * len(requests)
            faces = [face for one in requests for face in generate_faces(self._wider, [one])]
            self._judge(faces)
            return faces

    def _start_loading(self) -> None:
        """Load the wider networks, once."""
        widen, self._widen = self._widen, None
        if widen is None:
            return
        if self._wait:
            self._wider = _loaded(widen)
        else:
            name = "wider networks"
            threading.Thread(target=self._load, args=(widen,), name=name, daemon=True).start()

    def _load(self, widen: Widen) -> None:
        wider = _loaded(widen)
        with self._lock:
            self._wider = wider

    def _judge(self, faces: Sequence[Image | None]) -> None:
        """Give the wider networks up where they do not help: each face would cost twice."""
        for face in faces:
            self._failures = self._failures + 1 if face is None else 0
        if self._failures >= MAX_FAILURES:
            self._wider = None
            log.warning("faces are not finite in a wider precision either; %s.", VERIFY)


def _loaded(widen: Widen) -> MuseTalkNetworks | None:
    """The wider networks; None, and a line in the log, where there is no memory or no file."""
    try:
        wider = widen()
    except (LipstreamError, MemoryError, OSError, RuntimeError) as error:  # torch's are the last
        log.warning("faces are not generated again in a wider precision: %s", error)
        return None
    precision = str(wider.dtype).removeprefix("torch.")
    log.warning("faces that are not finite are generated again in %s from now on.", precision)
    return wider
