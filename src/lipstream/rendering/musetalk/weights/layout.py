"""The files of MuseTalk in a folder of weights. Needs no torch.

musetalkV15/  musetalk.json  unet.pth              v1.5, preferred
musetalk/     musetalk.json  pytorch_model.bin     v1
sd-vae-ft-mse/ or sd-vae/    config.json  diffusion_pytorch_model.{safetensors,bin}
whisper/      config.json  {model.safetensors,pytorch_model.bin}
hubert/       the same, for a UNet whose cross_attention_dim is 768
face-parse-bisenet/ or face-parse-bisent/    79999_iter.pth or model.pth    optional
taesd/        config.json  diffusion_pytorch_model.safetensors                 optional
dwpose/       dw-ll_ucoco_384.onnx                                          optional
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from lipstream.errors import CheckpointError, MissingError, OptionError, reason_of

UNETS = {"v15": ("musetalkV15", "unet.pth"), "v1": ("musetalk", "pytorch_model.bin")}
VERSIONS = tuple(UNETS)  # the preferred one first
VAES = ("sd-vae-ft-mse", "sd-vae")
VAE_FILES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")
SPEECH_FILES = ("model.safetensors", "pytorch_model.bin")
PARSERS = ("face-parse-bisenet", "face-parse-bisent")
PARSER_FILES = ("79999_iter.pth", "model.pth")
TINY = "taesd"
LANDMARKS = "dwpose/dw-ll_ucoco_384.onnx"
LANDMARKS_PTH = "dwpose/dw-ll_ucoco_384.pth"  # of MuseTalk's own script, for another program
HUBERT_WIDTH = 768
MAX_CONFIG_BYTES = 1 << 20  # real ones have 2000
PULL = "run 'lipstream models pull musetalk'"
PULL_LANDMARKS = "run 'lipstream models pull musetalk --with dwpose'"
PULL_TAESD = "run 'lipstream models pull musetalk --with taesd' or use the profile exact"


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    config: Path
    weights: Path


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one version of MuseTalk; all of them exist."""

    version: str  # "v1" or "v15"
    unet: NetworkFiles
    vae: NetworkFiles
    speech: NetworkFiles
    encoder: str  # of speech: "whisper" or "hubert"


def find_layout(models: str | Path, version: str | None = None) -> Layout:
    """The files of `version`, by default of v1.5 and else of v1.

    OptionError for an unknown version, MissingError that names the first file that is missing.
    """
    models = Path(models)
    if version is not None and version not in VERSIONS:
        raise OptionError(f"there is no MuseTalk {version!r}; use {' or '.join(VERSIONS)}.")
    chosen = version or next(iter(_versions(models)), VERSIONS[0])
    folder, name = UNETS[chosen]
    unet = _network(models, (folder,), "musetalk.json", (name,))
    vae = _network(models, VAES, "config.json", VAE_FILES)
    width = read_config(unet.config).get("cross_attention_dim")
    encoder = "hubert" if width == HUBERT_WIDTH else "whisper"
    speech = _network(models, (encoder,), "config.json", SPEECH_FILES)
    return Layout(chosen, unet, vae, speech, encoder)


def find_layouts(models: str | Path) -> list[Layout]:
    """The layout of every version found; MissingError when there is none."""
    found = _versions(Path(models))
    return [find_layout(models, version) for version in found or VERSIONS[:1]]


def find_parser(models: str | Path) -> Path | None:
    """The weights of the optional face parser, under either spelling of its folder."""
    return next(_existing(Path(models), PARSERS, PARSER_FILES), None)


def find_taesd(models: str | Path) -> NetworkFiles:
    """The small decoder of the turbo profile; MissingError without it."""
    return _network(Path(models), (TINY,), "config.json", VAE_FILES[:1], PULL_TAESD)


def find_landmarks(models: str | Path) -> Path | None:
    """The optional landmark network that MuseTalk was published with."""
    path = Path(models) / LANDMARKS
    return path if path.exists() else None


def unread_landmarks(models: str | Path) -> str | None:
    """A sentence about the landmark network in the format that is not read, where it is alone."""
    path = Path(models) / LANDMARKS_PTH
    if not path.exists() or find_landmarks(models) is not None:
        return None
    return (
        f"{path} is not read, lipstream needs the .onnx: {PULL_LANDMARKS}; until then the built-in "
        "landmarks are used."
    )


def read_config(path: Path) -> Mapping[str, Any]:
    """A network's JSON object; CheckpointError that names the file otherwise."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ValueError("too long")
        config = json.loads(path.read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is no valid JSON: delete it and {PULL}.") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{path} holds no JSON object: delete it and {PULL}.")
    return config


def unreadable(path: Path, error: OSError) -> CheckpointError | MissingError:
    """The error for a file that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return MissingError(f"{path} is missing: {PULL}.")
    if isinstance(error, IsADirectoryError):
        return CheckpointError(f"{path} is a folder, not a file: move it away and {PULL}.")
    return CheckpointError(f"{path} cannot be read: {reason_of(error)}; check its rights.")


def _versions(models: Path) -> list[str]:
    return [key for key, (folder, name) in UNETS.items() if (models / folder / name).exists()]


def _network(
    models: Path, folders: tuple[str, ...], config: str, names: tuple[str, ...], pull: str = PULL
) -> NetworkFiles:
    """The first of the spellings whose weights are found."""
    weights = next(_existing(models, folders, names), models / folders[0] / names[0])
    files = NetworkFiles(weights.with_name(config), weights)
    for path in (weights, files.config):
        if not path.exists():
            raise MissingError(f"{path} is missing: {pull}.")
    return files


def _existing(models: Path, folders: Iterable[str], names: Iterable[str]) -> Iterator[Path]:
    paths = (models / folder / name for folder, name in product(folders, names))
    return filter(Path.exists, paths)
