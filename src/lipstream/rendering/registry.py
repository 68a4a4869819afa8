"""Backends by name: an encoder and a renderer that fit together. Heavy imports stay inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec

from lipstream.config import MotionConfig, MuseTalkConfig, RuntimeOptions
from lipstream.errors import MissingError, OptionError
from lipstream.installation import install_command
from lipstream.rendering.base import NeuralRenderer, ParallelRenderer, PixelFormat, Renderer
from lipstream.speech.base import SpeechEncoder
from lipstream.timeline import FPS, MAX_FPS, MIN_FPS, exact_rate


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """An encoder of speech and a renderer that fit together."""

    name: str
    encoder: SpeechEncoder
    renderer: Renderer
    fps: Fraction
    batch: int  # frames that one `Engine.render` call should carry
    reason: str  # why this one was chosen, for the user
    parallelism: int = 1  # frames that are drawn side by side, each by a core of its own
    release: Callable[[], None] | None = None  # what `close` calls

    @property
    def restarts(self) -> int:
        """Workers that died or hung and were replaced."""
        return self.renderer.restarts if isinstance(self.renderer, ParallelRenderer) else 0

    @property
    def fault(self) -> str | None:
        """One sentence when nothing can be drawn at present."""
        return self.renderer.fault if isinstance(self.renderer, ParallelRenderer) else None

    @property
    def precision(self) -> str | None:
        """The type of the numbers of its networks; None without any."""
        return self.renderer.precision if isinstance(self.renderer, NeuralRenderer) else None

    @property
    def nonfinite_faces(self) -> int:
        """Faces that its networks did not compute: shown bare, or generated again."""
        return self.renderer.nonfinite_faces if isinstance(self.renderer, NeuralRenderer) else 0

    def close(self) -> None:
        """Let go of what it holds outside of this process. May be called twice."""
        if self.release is not None:
            self.release()


def open_backend(
    name: str = "auto",
    *,
    fps: Fraction | float = FPS,
    motion: MotionConfig | None = None,
    musetalk: MuseTalkConfig | None = None,
    runtime: RuntimeOptions | None = None,
    processes: int = 0,
) -> Backend:
    """Open the backend called `name`: auto, puppet or musetalk. Raises OptionError for any other.

    auto is musetalk where its weights and a GPU are available, else puppet. MissingError or
    CheckpointError when musetalk is chosen and cannot run. With `processes` the puppet is drawn in
    so many worker processes, at least two, where the system has them; `close` ends them.
    """
    fps = exact_rate(fps)
    if not MIN_FPS <= fps <= MAX_FPS:
        raise OptionError(f"fps must lie between {MIN_FPS} and {MAX_FPS}, not {float(fps):g}.")
    musetalk, runtime = musetalk or MuseTalkConfig(), runtime or RuntimeOptions()
    name, reason = _choose(musetalk) if name == "auto" else (name, "it was chosen")
    if name == "puppet":
        motion = motion or MotionConfig()
        return _open_puppet(fps, motion, reason, processes, runtime.pixel_format)
    if name == "musetalk":
        return _open_musetalk(fps, musetalk, runtime, reason)
    raise OptionError(f"there is no backend {name!r}; use auto, puppet or musetalk.")


def _choose(musetalk: MuseTalkConfig) -> tuple[str, str]:
    """The best backend this machine can run in real time, and why it was taken."""
    if find_spec("torch") is None:
        return "puppet", "PyTorch is not installed, which musetalk needs"
    from lipstream.rendering.musetalk.weights.layout import find_layout
    from lipstream.weights.manifest import models_folder

    folder = models_folder(musetalk.models)
    try:
        find_layout(folder, musetalk.version)
    except MissingError:
        return "puppet", f"{folder} holds no musetalk weights"
    import torch

    if musetalk.device == "cpu" or not torch.cuda.is_available():
        return "puppet", "musetalk needs an NVIDIA GPU to keep up with speech"
    return "musetalk", f"its weights and {torch.cuda.get_device_name()} are available"


def _open_musetalk(
    fps: Fraction, musetalk: MuseTalkConfig, runtime: RuntimeOptions, reason: str
) -> Backend:
    if find_spec("torch") is None:
        raise MissingError(
            f"the musetalk backend needs PyTorch; run `{install_command('musetalk')}`."
        )
    from lipstream.rendering.musetalk.factory import open_musetalk

    encoder, renderer, batch = open_musetalk(fps, musetalk, runtime)
    return Backend("musetalk", encoder, renderer, fps, batch, reason)


def _open_puppet(
    fps: Fraction, motion: MotionConfig, reason: str, processes: int, pixel_format: PixelFormat
) -> Backend:
    from lipstream.rendering.puppet.renderer import PuppetRenderer
    from lipstream.speech.articulation.encoder import ArticulationEncoder

    encoder = ArticulationEncoder.from_file()
    if processes > 0:
        from lipstream.rendering.puppet.worker_pool import PuppetWorkerPool, workers_supported

        if workers_supported():
            pool = PuppetWorkerPool(fps, motion, processes, pixel_format)
            return Backend("puppet", encoder, pool, fps, processes, reason, processes, pool.close)
    renderer = PuppetRenderer(fps, motion, pixel_format)
    return Backend("puppet", encoder, renderer, fps, 1, reason)
