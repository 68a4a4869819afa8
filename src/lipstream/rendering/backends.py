"""Backends by name: an encoder and a renderer that fit together. Heavy imports stay inside."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from lipstream.config import MotionConfig
from lipstream.errors import OptionError
from lipstream.rendering.renderer import Renderer
from lipstream.speech.encoder import SpeechEncoder
from lipstream.timeline import FASTEST, FPS, SLOWEST


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """What hears and what draws."""

    name: str
    encoder: SpeechEncoder
    renderer: Renderer
    fps: Fraction
    batch: int  # frames that one `Engine.render` call should carry
    reason: str  # why this one was chosen, for the user


def open_backend(
    name: str = "auto", *, fps: Fraction | float = FPS, motion: MotionConfig | None = None
) -> Backend:
    """The backend called `name`: auto or puppet. Raises OptionError for any other."""
    fps = Fraction(fps).limit_denominator(1_000_000)
    if not SLOWEST <= fps <= FASTEST:
        raise OptionError(f"fps must lie between {SLOWEST} and {FASTEST}, not {float(fps):g}.")
    if name == "auto":
        return _open_puppet(fps, motion or MotionConfig(), "it runs on any CPU")
    if name == "puppet":
        return _open_puppet(fps, motion or MotionConfig(), "it was asked for")
    raise OptionError(f"there is no backend {name!r}; use auto or puppet.")


def _open_puppet(fps: Fraction, motion: MotionConfig, reason: str) -> Backend:
    from lipstream.rendering.puppet.puppet import PuppetRenderer
    from lipstream.speech.ear import ArticulationEncoder

    return Backend(
        "puppet", ArticulationEncoder.from_file(), PuppetRenderer(fps, motion), fps, 1, reason
    )
