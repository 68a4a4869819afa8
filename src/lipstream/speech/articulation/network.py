"""The network that reads the mouth from the sound: 82 features per 20 ms -> 7 mouth parameters.

A dense layer, two gated recurrent layers and a dense layer, about 180 thousand weights. The output
for a step comes `look_ahead` steps later, as lips move before the sound they make. Made by
`training/`; the figures are in `training/REPORT.md`.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipstream.errors import MissingError
from lipstream.installation import reinstall_command
from lipstream.media.image import Floats
from lipstream.speech.articulation.log_mel import FEATURES

PARAMETERS = ("jaw", "round", "wide", "close", "tuck", "teeth", "tongue")
JAW, ROUND, WIDE, CLOSE, TUCK, TEETH, TONGUE = range(7)


@dataclass(frozen=True, slots=True)
class ArticulationDimensions:
    features: int = FEATURES
    inner: int = 64  # width of the first dense layer
    hidden: int = 128  # width of each recurrent layer
    outputs: int = len(PARAMETERS) + 1  # the mouth, and the presence of speech
    look_ahead: int = 4  # steps of 20 ms that the output lags behind the sound

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every array of the weights. Gates are stacked as reset, update, new."""
        gates = 3 * self.hidden
        matrices = {
            "enter": (self.inner, self.features),
            "lower_input": (gates, self.inner),
            "lower_state": (gates, self.hidden),
            "upper_input": (gates, self.hidden),
            "upper_state": (gates, self.hidden),
            "leave": (self.outputs, self.hidden),
        }
        return matrices | {f"{name}_bias": shape[:1] for name, shape in matrices.items()}


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
        x = np.maximum(self._dense("enter", features), np.float32(0))
        given, kept = self._dense("lower_input", x), self._dense("lower_state", state.lower)
        state.lower = _gated(state.lower, given, kept)
        given = self._dense("upper_input", state.lower)
        kept = self._dense("upper_state", state.upper)
        state.upper = _gated(state.upper, given, kept)
        return _sigmoid(self._dense("leave", state.upper))

    def _dense(self, layer: str, x: Floats) -> Floats:
        return self.weights[layer] @ x + self.weights[f"{layer}_bias"]


def load(path: Path | None = None) -> ArticulationNetwork:
    """The network in `path`, an npz archive of float16 arrays; without it, the one that ships.

    Raises MissingError when the file is absent, damaged or of another shape.
    """
    source = files("lipstream.speech.articulation") / "network.npz" if path is None else path
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise MissingError(f"{source} is missing; run `{reinstall_command()}`.") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise MissingError(
            f"{source} is damaged ({error}); run `{reinstall_command()}`."
        ) from error
    return assemble(arrays, str(source))


def assemble(arrays: dict[str, NDArray[Any]], source: str) -> ArticulationNetwork:
    """A network of named arrays; `source` names them in errors. Raises MissingError."""
    names = {*ArticulationDimensions().shapes, "look_ahead"}
    if missing := sorted(names - set(arrays)):
        lacking = ", ".join(missing)
        raise MissingError(f"{source} lacks {lacking}; it is not an articulation network.")
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
    weights = {name: arrays[name].astype(np.float32, order="C") for name in dimensions.shapes}
    for array in weights.values():
        array.flags.writeable = False
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
