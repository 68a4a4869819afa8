"""The two small networks that come with the package, run by OpenCV."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np

from lipstream.errors import MissingError
from lipstream.installation import reinstall_command
from lipstream.media.image import Floats, Image

FOLDER = Path(__file__).with_name("models")


class TfliteNetwork:
    """A TFLite model of the package, safe to share between threads; MissingError without it."""

    def __init__(self, name: str, outputs: tuple[str, ...]) -> None:
        path = FOLDER / name
        if not path.is_file():
            raise MissingError(f"the face model {path} is missing; run `{reinstall_command()}`.")
        # A net keeps its buffers between calls, so two threads must not run it at once.
        self._lock = threading.Lock()
        self._outputs = outputs
        # OpenCV 5's new engine exposes one output only of models with several; OpenCV 4 has one
        # engine and no choice.
        engine = [cv2.dnn.ENGINE_CLASSIC] if hasattr(cv2.dnn, "ENGINE_CLASSIC") else []
        try:
            self._net = cv2.dnn.readNetFromTFLite(str(path), *engine)
        except cv2.error as error:
            raise MissingError(
                f"the face model {path} is damaged; run `{reinstall_command()}`."
            ) from error

    def run(self, picture: Image, scale: float, offset: float) -> list[Floats]:
        """Feed `picture * scale + offset`; one fresh array per output, in the order named."""
        planes = picture.astype(np.float32).transpose(2, 0, 1)[None] * np.float32(scale)
        with self._lock:
            self._net.setInput(np.ascontiguousarray(planes + np.float32(offset)))
            return [np.array(output) for output in self._net.forward(self._outputs)]
