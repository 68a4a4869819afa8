"""Opens the MuseTalk backend: encoder and renderer from weights and settings."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch

from lipstream.config import MuseTalkConfig, RuntimeOptions
from lipstream.errors import OptionError
from lipstream.rendering.musetalk.compositing.base import Compositor
from lipstream.rendering.musetalk.compositing.cpu import CpuCompositor
from lipstream.rendering.musetalk.compositing.gpu import GpuCompositor
from lipstream.rendering.musetalk.compositing.nonfinite import NonFiniteFaces, Widen
from lipstream.rendering.musetalk.models.bisenet import FaceParser
from lipstream.rendering.musetalk.models.dwpose import DwPose
from lipstream.rendering.musetalk.optimizations.cuda_graphs import SIZES
from lipstream.rendering.musetalk.optimizations.mkldnn_pack import gains_from_bfloat16
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings
from lipstream.rendering.musetalk.renderer import MuseTalkRenderer, fingerprint
from lipstream.rendering.musetalk.weights.layout import find_landmarks
from lipstream.rendering.musetalk.weights.loader import (
    MuseTalkNetworks,
    load_checkpoint,
    load_parser,
    load_taesd,
)
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder
from lipstream.speech.musetalk.backbone import SpeechNetwork
from lipstream.speech.musetalk.windowing import STEPS_AFTER, STEPS_BEFORE
from lipstream.timeline import SAMPLE_RATE
from lipstream.weights.manifest import models_folder

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}

# Live, batches grow only when many speak, and a GPU's time per frame falls up to about 32. Offline
# every batch is full: eight leave little to gain and hold a fourth of the pictures. A CPU gains
# nothing from batches: live it renders frame by frame, so that an urgent one waits for one only.
MAX_LIVE_BATCH, OFFLINE_BATCH = 32, 8
CPU_CONTEXT_S = 5  # of past speech; `benchmarks/cpu/excerpts.py` has what more would give
FACE_BYTES = 150e6  # of a GPU's memory for each face of 256 pixels in a batch, about


def open_musetalk(
    fps: Fraction, config: MuseTalkConfig, runtime: RuntimeOptions
) -> tuple[AudioWindowEncoder, MuseTalkRenderer, int]:
    """The encoder and the renderer of `config`, and the number of frames to give it at once.

    OptionError for a device, MissingError for weights that are not available; CheckpointError for
    weights that are not what they should be.
    """
    models = models_folder(config.models)
    device = _device(config.device)
    batch = _batch(config.face_size, runtime, device)
    precision = PRECISIONS[config.precision] if config.precision else None
    if precision is None and runtime.optimized and device.type == "cpu" and gains_from_bfloat16():
        precision = torch.bfloat16
    networks = _load(models, config, device, precision)
    checkpoint = fingerprint(networks.vae)  # of what is published, before anything is folded
    # The plain networks are for a CPU only, where they are compared with recordings.
    if runtime.optimized or device.type == "cuda":
        networks = optimized(networks, OptimizationOptions.exact(networks.device, networks.dtype))
    # The published landmarks and masks are used if the user has pulled them.
    parser, landmarks = load_parser(models, device), find_landmarks(models)
    settings = replace(
        FaceSettings.published(networks.version, config.bbox_shift),
        face_size=config.face_size,
        checkpoint=checkpoint,
        landmarks="mesh" if landmarks is None else "dwpose",
        labels="mesh" if parser is None else "bisenet",
    )
    nonfinite = NonFiniteFaces(_wider(models, config, networks), wait=not runtime.live)
    compositor: Compositor = CpuCompositor(
        networks, pixel_format=runtime.pixel_format, nonfinite=nonfinite
    )
    if device.type == "cuda":
        compositor = GpuCompositor(
            networks,
            config.face_size,
            tokens=(STEPS_BEFORE + STEPS_AFTER) * networks.speech.layers,
            batch=batch,
            # It takes seconds: worth it where many batches follow.
            record=runtime.live or runtime.optimized,
            pixel_format=runtime.pixel_format,
            nonfinite=nonfinite,
        )
    renderer = MuseTalkRenderer(
        networks,
        fps,
        settings=settings,
        parse=None if parser is None else FaceParser(parser, device),
        locate=None if landmarks is None else DwPose.from_file(landmarks),
        compositor=compositor,
    )
    encoder = AudioWindowEncoder(networks.speech)
    if runtime.live:
        encoder = _live_encoder(networks.speech, fps, config, device)
    return encoder, renderer, batch


def _live_encoder(
    speech: SpeechNetwork, fps: Fraction, config: MuseTalkConfig, device: torch.device
) -> AudioWindowEncoder:
    """The encoder of live speech, with all of a piece on a GPU and a few seconds of it on a CPU.

    A GPU hears 30 s at once in no time; on a CPU they take longer than the speech itself.
    """
    seconds = config.context_s
    if seconds is None and device.type == "cpu":
        seconds = CPU_CONTEXT_S
    return AudioWindowEncoder.live(
        speech,
        fps,
        context=None if seconds is None else seconds * SAMPLE_RATE,
        look_ahead=config.look_ahead_ms * SAMPLE_RATE // 1000,
    )


def _load(
    models: Path, config: MuseTalkConfig, device: torch.device, precision: torch.dtype | None
) -> MuseTalkNetworks:
    networks = load_checkpoint(models, config.version, device, precision)
    if config.profile == "turbo":
        networks = replace(networks, decoder=load_taesd(models, device, networks.dtype))
    return networks


def _wider(models: Path, config: MuseTalkConfig, networks: MuseTalkNetworks) -> Widen | None:
    """A function that loads `networks` in bfloat16 where a GPU has it, else in float32.

    None where `networks` are in float32 already.
    """
    device, precision = networks.device, torch.float32
    if networks.dtype == precision:
        return None
    if device.type == "cuda" and networks.dtype == torch.float16:
        # Ampere and later: the range of float32 at the speed of float16.
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        precision = torch.bfloat16 if ampere else torch.float32
    return partial(_load, models, config, device, precision)


def _batch(face_size: int, runtime: RuntimeOptions, device: torch.device) -> int:
    """The most frames to give the networks at once."""
    if runtime.batch is not None:
        return runtime.batch
    if device.type != "cuda":
        return 1 if runtime.live else OFFLINE_BATCH
    if not runtime.live:
        return OFFLINE_BATCH
    room = torch.cuda.get_device_properties(device).total_memory / 3
    return largest_batch(room / (FACE_BYTES * (face_size / 256) ** 2))


def largest_batch(faces: float) -> int:
    """The largest batch of a live server with memory for so many faces."""
    fitting = [size for size in SIZES if size <= min(faces, MAX_LIVE_BATCH)]
    return max(fitting, default=1)


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise OptionError(f"device {name!r} is not available: PyTorch finds no GPU; use cpu.")
    return device
