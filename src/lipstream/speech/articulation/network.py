"""The network that reads the mouth from the sound: 82 features per 20 ms -> 7 mouth parameters.

A dense layer, two gated recurrent layers and a dense layer, about 180 thousand weights, stepped in
plain numpy. Its output for a step comes `look_ahead` steps later, when it has seen what follows:
lips move before the sound they make. Made by `training/`; the figures are in `training/REPORT.md`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import MissingError
from lipstream.speech.articulation.log_mel import FEATURES

if TYPE_CHECKING:
    from lipstream.media.image import Floats

PARAMETERS = ("jaw", "round", "wide", "close", "tuck", "teeth", "tongue")
JAW, ROUND, WIDE, CLOSE, TUCK, TEETH, TONGUE = range(7)


@dataclass(frozen=True, slots=True)
class ArticulationDimensions:
    """Sizes of the network."""

    features: int = FEATURES
    inner: int = 64  # width of the first dense layer
    hidden: int = 128  # width of each recurrent layer
    outputs: int = len(PARAMETERS) + 1  # the mouth, and the presence of speech
    look_ahead: int = 4  # steps of 20 ms that the output lags behind the sound

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array of the weights. Gates are stacked as reset, update, new."""
        gates = 3 * self.hidden
        return {
            "enter": (self.inner, self.features),
            "enter_bias": (self.inner,),
            "lower_input": (gates, self.inner),
            "lower_input_bias": (gates,),
            "lower_state": (gates, self.hidden),
            "lower_state_bias": (gates,),
            "upper_input": (gates, self.hidden),
            "upper_input_bias": (gates,),
            "upper_state": (gates, self.hidden),
            "upper_state_bias": (gates,),
            "leave": (self.outputs, self.hidden),
            "leave_bias": (self.outputs,),
        }


@dataclass(slots=True)
class GruState:
    """The recurrent state of one stream: (hidden,) float32 each."""

    lower: Floats
    upper: Floats


@dataclass(frozen=True, slots=True, eq=False)
class ArticulationNetwork:
    """The network: immutable, one for all streams. Streams bring their own `GruState`."""

    dimensions: ArticulationDimensions
    weights: Mapping[str, Floats]  # read-only float32 arrays of `dimensions.shapes`

    def initial_state(self) -> GruState:
        """The state at the beginning of a stream."""
        hidden = self.dimensions.hidden
        return GruState(np.zeros(hidden, np.float32), np.zeros(hidden, np.float32))

    def step(self, state: GruState, features: Floats) -> Floats:
        """Take one step, (82,); return (8,) in 0..1: the mouth and the presence of speech.

        The output is about the step `dimensions.look_ahead` steps before this one.
        """
        w = self.weights
        x = np.maximum(w["enter"] @ features + w["enter_bias"], np.float32(0))
        state.lower = _gated(
            state.lower,
            w["lower_input"] @ x + w["lower_input_bias"],
            w["lower_state"] @ state.lower + w["lower_state_bias"],
        )
        state.upper = _gated(
            state.upper,
            w["upper_input"] @ state.lower + w["upper_input_bias"],
            w["upper_state"] @ state.upper + w["upper_state_bias"],
        )
        return _sigmoid(w["leave"] @ state.upper + w["leave_bias"])


def load(path: Path | None = None) -> ArticulationNetwork:
    """The network in `path`, an npz archive of float16 arrays; without it, the one that ships.

    Raises MissingError when the file is absent, damaged or of another shape.
    """
    source = files("lipstream.speech.articulation") / "network.npz" if path is None else path
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise MissingError(f"{source} is missing; reinstall lipstream.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise MissingError(f"{source} is damaged ({error}); reinstall lipstream.") from error
    return assemble(arrays, str(source))


def assemble(arrays: dict[str, NDArray[Any]], source: str) -> ArticulationNetwork:
    """A network of named arrays; `source` names them in errors. Raises MissingError."""
    names = {*ArticulationDimensions().shapes, "look_ahead"}
    if missing := sorted(names - set(arrays)):
        raise MissingError(
            f"{source} lacks {', '.join(missing)}; it is not an articulation network."
        )
    dimensions = ArticulationDimensions(
        features=arrays["enter"].shape[-1],
        inner=arrays["enter"].shape[0],
        hidden=arrays["lower_state"].shape[-1],
        outputs=arrays["leave"].shape[0],
        look_ahead=int(arrays["look_ahead"]),
    )
    for name, shape in dimensions.shapes.items():
        if arrays[name].shape != shape:
            raise MissingError(f"{source}: {name} is {arrays[name].shape}, expected {shape}.")
    if (dimensions.features, dimensions.outputs) != (FEATURES, len(PARAMETERS) + 1):
        raise MissingError(
            f"{source} was made for another version of lipstream; reinstall lipstream."
        )
    weights = {name: _frozen(arrays[name]) for name in dimensions.shapes}
    return ArticulationNetwork(dimensions, MappingProxyType(weights))


def _gated(state: Floats, given: Floats, kept: Floats) -> Floats:
    """One gated recurrent step; `given` and `kept` hold reset, update and new, stacked."""
    size = len(state)
    gates = _sigmoid(given[: 2 * size] + kept[: 2 * size])
    reset, update = gates[:size], gates[size:]
    new = np.tanh(given[2 * size :] + reset * kept[2 * size :])
    blended: Floats = new + update * (state - new)
    return blended


def _sigmoid(x: Floats) -> Floats:
    half = np.float32(0.5)
    curve: Floats = np.tanh(x * half) * half + half  # cannot overflow, unlike exp
    return curve


def _frozen(array: NDArray[Any]) -> Floats:
    values = np.ascontiguousarray(array, dtype=np.float32)
    values.flags.writeable = False
    return values
