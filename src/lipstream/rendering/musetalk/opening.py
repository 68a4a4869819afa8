"""Putting the MuseTalk backend together from its weights and settings."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch

from lipstream.config import MuseTalkConfig
from lipstream.errors import OptionError
from lipstream.rendering.musetalk.checkpoint import MuseTalkNetworks, load_checkpoint, load_parser
from lipstream.rendering.musetalk.dwpose import DwPose
from lipstream.rendering.musetalk.layout import find_landmarks
from lipstream.rendering.musetalk.musetalk import MuseTalkRenderer
from lipstream.rendering.musetalk.packed import pack, packable
from lipstream.rendering.musetalk.parsing import FaceParser
from lipstream.rendering.musetalk.preparation import FaceSettings
from lipstream.speech.excerpt import WHOLE_PIECES, ExcerptEncoder, recent
from lipstream.weights import models_folder

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def open_musetalk(fps: Fraction, config: MuseTalkConfig) -> tuple[ExcerptEncoder, MuseTalkRenderer]:
    """The encoder and the renderer of `config`.

    OptionError for a setting that cannot be, MissingError and CheckpointError for weights that are
    not there or not what they should be.
    """
    models = models_folder(config.models)
    device = _device(config.device)
    if config.precision is not None and config.precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise OptionError(f"there is no precision {config.precision!r}; use {known}.")
    if config.batch < 1:
        raise OptionError(f"batch must be at least 1, not {config.batch}.")
    precision = PRECISIONS[config.precision] if config.precision else None
    if precision is None and config.optimized and device.type == "cpu" and packable():
        precision = torch.bfloat16
    networks = load_checkpoint(models, config.version, device, precision)
    if config.optimized:
        networks = optimized(networks)
    # The published landmarks and masks are used where the user has pulled them.
    parser, landmarks = load_parser(models, device), find_landmarks(models)
    settings = replace(
        FaceSettings.published(networks.version, config.shift),
        side=config.side,
        landmarks="mesh" if landmarks is None else "dwpose",
        labels="mesh" if parser is None else "bisenet",
    )
    renderer = MuseTalkRenderer(
        networks,
        fps,
        settings=settings,
        parse=None if parser is None else FaceParser(parser, device),
        locate=None if landmarks is None else DwPose.from_file(landmarks),
    )
    plan = recent(fps) if config.live else WHOLE_PIECES
    return ExcerptEncoder(networks.speech, plan), renderer


def optimized(networks: MuseTalkNetworks) -> MuseTalkNetworks:
    """The same networks, faster: channels last, timestep folded in; compiled on a GPU, laid out for
    the processor's bfloat16 units where it has them. Results differ by rounding only.
    """
    unet, vae = networks.unet, networks.vae
    for network in (unet, vae):
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    unet.fold_time()
    pack(unet)
    pack(vae)
    if networks.device.type == "cuda":
        # Graphs are captured per shape: `reduce-overhead` replays them without the launches.
        unet.compile(mode="reduce-overhead", dynamic=False)
        vae.decoder.compile(mode="reduce-overhead", dynamic=False)
    return replace(networks, unet=unet, vae=vae)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise OptionError(f"there is no device {name!r}; use cuda, cuda:0 or cpu.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device {name!r} was asked for but PyTorch sees no GPU; use cpu.")
    return device
