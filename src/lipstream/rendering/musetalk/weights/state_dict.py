"""Weights files as tables of tensors: safetensors, and torch's own format without its code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lipstream.errors import CheckpointError, MissingError
from lipstream.installation import install_command
from lipstream.rendering.musetalk.weights.layout import PULL, unreadable

POINTER = b"version https://git-lfs"  # what git leaves instead of a large file
MIN_BYTES = 8  # no format is as short


def read_state(path: Path) -> dict[str, Tensor]:
    """Every tensor of the file by its key, on the CPU, mapped rather than read where possible.

    Nothing in the file is executed. CheckpointError when it is cut short or no such file.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError as error:
        raise unreadable(path, error) from error
    if start.startswith(POINTER):
        raise CheckpointError(
            f"{path} is a Git LFS pointer, not the weights: run 'git lfs pull' there, or delete it "
            f"and {PULL}."
        )
    if len(start) < MIN_BYTES:
        raise CheckpointError(f"{path} is empty or cut short: delete it and {PULL}.")
    if path.suffix == ".safetensors":
        state = _read_safetensors(path)
    else:  # only files in torch's zip format can be mapped; older ones are read whole
        state = _read_torch(path, mapped=start.startswith(b"PK"))
    if isinstance(state, Mapping) and state:
        if all(isinstance(key, str) and isinstance(item, Tensor) for key, item in state.items()):
            return dict(state)
    raise CheckpointError(f"{path} holds no table of tensors: delete it and {PULL}.")


def _read_safetensors(path: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingError(
            f"{path} needs the package safetensors; run `{install_command('musetalk')}`."
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, ValueError) as error:
        raise _damaged(path) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _read_torch(path: Path, mapped: bool) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        # torch names the class or function that the file asks for.
        if "Unsupported global" in str(error) or "Unsupported class" in str(error):
            raise CheckpointError(
                f"{path} is not a plain weights file: it wants to run code, which lipstream never "
                f"does; delete it and {PULL}."
            ) from error
        raise _damaged(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # a damaged pickle can raise anything
        raise _damaged(path) from error


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"{path} is damaged or cut short: delete it and {PULL}.")
