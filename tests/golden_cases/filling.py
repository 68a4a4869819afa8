"""Networks with the synthetic weights of the recordings, made from the manifests beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from tests.golden_cases.comparing import Case
from tests.golden_cases.fill import fill_array

Network = TypeVar("Network", bound=nn.Module)


def filled_state(manifest: Path, gain: float = 1.0) -> dict[str, Tensor]:
    """A state dict with every key and shape of a manifest."""
    shapes = json.loads(manifest.read_text(encoding="utf-8"))
    return {
        name: torch.from_numpy(fill_array(name, shape, dtype, gain))
        for name, (shape, dtype) in shapes.items()
    }


def load_filled(network: nn.Module, manifest: Path, gain: float = 1.0) -> None:
    """Give `network`, built on the meta device, the weights of a manifest, key by key."""
    network.load_state_dict(filled_state(manifest, gain), strict=True, assign=True)
    network.train(False)


def built(network: Callable[[], Network], manifest: Path, gain: float) -> Network:
    """A network made on the meta device, with the weights of a manifest."""
    with torch.device("meta"):
        made = network()
    load_filled(made, manifest, gain)
    return made


def fill_module(network: nn.Module, gain: float = 1.0) -> None:
    """The same rule for a network that has no manifest, by the names of its own state dict."""
    state = {
        name: torch.from_numpy(fill_array(name, tensor.shape, str(tensor.dtype), gain))
        for name, tensor in network.state_dict().items()
    }
    network.load_state_dict(state, strict=True)
    network.train(False)


def gain_of(path: Path, case: Case) -> float:
    """The recording's gain, as an array or in its name; 1 unless it names another."""
    if "gain" in case:
        return float(case["gain"])
    named = re.search(r"gain(\d+(\.\d+)?)", path.stem)
    return float(named[1]) if named else 1.0


def config_of(manifest: Path) -> dict[str, object]:
    """The config beside a manifest."""
    config: dict[str, object] = json.loads(
        manifest.with_suffix(".config.json").read_text(encoding="utf-8")
    )
    return config


def manifest_of(path: Path, suffix: str = "") -> Path:
    """The manifest of the network that a recording's file name begins with."""
    folder = path.parents[1] / "manifests"
    names = [found.name.removesuffix(f"{suffix}.json") for found in folder.glob(f"*{suffix}.json")]
    fitting = [name for name in names if "." not in name and path.stem.startswith(name)]
    return folder / f"{max(fitting, key=len)}{suffix}.json"
