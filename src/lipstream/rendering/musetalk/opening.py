"""Putting the MuseTalk backend together from its weights and settings."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch

from lipstream.config import MuseTalkConfig
from lipstream.errors import OptionError
from lipstream.rendering.musetalk.checkpoint import load_checkpoint, load_parser, load_tiny
from lipstream.rendering.musetalk.dwpose import DwPose
from lipstream.rendering.musetalk.layout import find_landmarks
from lipstream.rendering.musetalk.musetalk import MuseTalkRenderer, fingerprint
from lipstream.rendering.musetalk.packed import packable
from lipstream.rendering.musetalk.parsing import FaceParser
from lipstream.rendering.musetalk.preparation import FaceSettings
from lipstream.rendering.musetalk.switches import Switches, switched
from lipstream.speech.excerpt import WHOLE_PIECES, ExcerptEncoder, recent
from lipstream.weights import models_folder

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
PROFILES = ("exact", "turbo")


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
    if config.profile not in PROFILES:
        raise OptionError(f"there is no profile {config.profile!r}; use {' or '.join(PROFILES)}.")
    if config.batch < 1:
        raise OptionError(f"batch must be at least 1, not {config.batch}.")
    precision = PRECISIONS[config.precision] if config.precision else None
    if precision is None and config.optimized and device.type == "cpu" and packable():
        precision = torch.bfloat16
    networks = load_checkpoint(models, config.version, device, precision)
    if config.profile == "turbo":
        networks = replace(networks, decoder=load_tiny(models, device, networks.dtype))
    checkpoint = fingerprint(networks.vae)  # of what is published, before anything is folded
    if config.optimized:
        networks = switched(networks, Switches.exact(networks.device, networks.dtype))
    # The published landmarks and masks are used where the user has pulled them.
    parser, landmarks = load_parser(models, device), find_landmarks(models)
    settings = replace(
        FaceSettings.published(networks.version, config.shift),
        side=config.side,
        checkpoint=checkpoint,
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
