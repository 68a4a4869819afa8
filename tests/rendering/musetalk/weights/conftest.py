"""A folder of tiny weights that a test may change, and its files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch import Tensor

from tests.tiny_models import write_models

UNET = Path("musetalkV15/unet.pth")
UNET_CONFIG = UNET.with_name("musetalk.json")
VAE = Path("sd-vae-ft-mse/diffusion_pytorch_model.safetensors")
WHISPER = Path("whisper/model.safetensors")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("pristine"))


@pytest.fixture
def models(pristine: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pristine, tmp_path / "models")


def changed(state: dict[str, Tensor], **changes: Tensor | None) -> dict[str, Tensor]:
    changed = {**state, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: tensor for name, tensor in changed.items() if tensor is not None}
