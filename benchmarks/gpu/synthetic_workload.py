"""Random weights, latents, audio and an avatar of noise: the same work for all contenders.

Speed does not depend on the weights, as long as no value overflows or vanishes; what is painted is
no face, so it tells nothing about quality. Everything is made on the device itself: the weights of
the published size would take minutes to bring there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipstream.avatar.avatar import Avatar, AvatarFrame, QualityReport
from lipstream.media.image import Box
from lipstream.rendering.musetalk.compositing.blend import BlendPlan, crop_square
from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions
from lipstream.rendering.musetalk.optimizations.options import OptimizationOptions, optimized
from lipstream.rendering.musetalk.preprocess.prepare import FaceSettings, PreparedFaces
from lipstream.rendering.musetalk.weights.loader import MuseTalkNetworks
from lipstream.speech.musetalk.whisper import WhisperDimensions, WhisperEncoder, WhisperSpeech

TOKENS = 50  # of audio for a frame: ten steps of five layers
FRAMES = 64  # of the avatar, no two alike
OUTPUT_SCALE = 0.4  # of a random decoder's last layer, so that few pixels are clipped


@dataclass(frozen=True, slots=True)
class Sizes:
    """The networks and the pictures of a run."""

    name: str
    unet: Mapping[str, Any]
    vae: Mapping[str, Any]
    whisper: WhisperDimensions
    decoder: Mapping[str, Any]  # of the turbo profile
    latent: int  # the side of the latents; a face has eight times as many pixels
    picture: tuple[int, int]  # width, height of the avatar
    frames: int = FRAMES


UNET: dict[str, Any] = {
    "attention_head_dim": 8,
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 384,
    "in_channels": 8,
    "norm_num_groups": 32,
}
VAE: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
}
PUBLISHED = Sizes("published size", UNET, VAE, WhisperDimensions(), {}, 32, (1280, 720))
TINY = Sizes(
    "tiny networks",
    UNET
    | {
        "block_out_channels": [32, 64, 64, 64],
        "norm_num_groups": 8,
        "cross_attention_dim": 64,
        "layers_per_block": 1,
    },
    VAE | {"block_out_channels": [16, 32, 32, 32], "norm_num_groups": 8, "layers_per_block": 1},
    WhisperDimensions(steps=300, width=64, heads=2, inner=128),
    {"decoder_block_out_channels": [8] * 4, "num_decoder_blocks": [1] * 4},
    8,
    (160, 120),
    frames=16,
)


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """The same weights and the same frames for all contenders."""

    sizes: Sizes
    networks: MuseTalkNetworks  # plain, in float32
    latents: Tensor  # (frames, 8, h, w) float32 on the device
    audio: Tensor  # (frames, tokens, width) float32 on the device, without positions
    avatar: Avatar
    faces: PreparedFaces  # of the avatar

    @property
    def device(self) -> torch.device:
        return self.networks.device

    def synchronize(self) -> None:
        """Return when the device has done all its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def batch(self, start: int, count: int) -> list[int]:
        """The avatar's frames in the batch that begins with frame `start` of an endless stream."""
        return [index % self.sizes.frames for index in range(start, start + count)]

    def inputs(self, rows: list[int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Latents and audio of some frames, on the device."""
        which = torch.tensor(rows, device=self.device)
        return self.latents[which].to(dtype), self.audio[which].to(dtype)


def make_workload(sizes: Sizes, device: torch.device, seed: int = 1) -> Workload:
    """Draw everything."""
    unet = fill(UNet, UNetDimensions.from_config(sizes.unet), device, seed)
    vae = fill(Vae, VaeDimensions.from_config(sizes.vae), device, seed + 1)
    with torch.no_grad():
        vae.decoder.conv_out.weight *= OUTPUT_SCALE
    speech = WhisperSpeech(fill(WhisperEncoder, sizes.whisper, device, seed + 2))
    networks = MuseTalkNetworks("v15", unet, vae, speech, device, torch.float32)
    drawn = torch.Generator(device).manual_seed(seed + 3)
    side, width = sizes.latent, sizes.whisper.width
    latents = torch.randn((sizes.frames, 8, side, side), generator=drawn, device=device)
    audio = torch.randn((sizes.frames, TOKENS, width), generator=drawn, device=device)
    avatar = make_avatar(sizes, seed)
    plans = tuple(plan_of(sizes, index) for index in range(sizes.frames))
    squares = tuple(crop_square(plan.box) for plan in plans)
    faces = PreparedFaces(FaceSettings(), latents.cpu().numpy(), squares, plans)
    return Workload(sizes, networks, latents, audio, avatar, faces)


def fill(build: type[Any], dimensions: Any, device: torch.device, seed: int) -> Any:
    """A network of random weights under which values keep their scale from layer to layer."""
    with torch.device("meta"):
        network: nn.Module = build(dimensions)
    drawn = torch.Generator(device).manual_seed(seed)

    def weight(name: str, shape: torch.Size) -> Tensor:
        values = torch.randn(shape, generator=drawn, device=device)
        if len(shape) > 1:
            return values / math.sqrt(math.prod(shape[1:]))
        return 1 + 0.1 * values if name.endswith(".weight") else 0.02 * values

    state = {name: weight(name, empty.shape) for name, empty in network.state_dict().items()}
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(False)


def converted(
    networks: MuseTalkNetworks, dtype: torch.dtype, options: OptimizationOptions
) -> MuseTalkNetworks:
    """The same weights at another precision, with some savings; the given ones stay as they are."""
    own = optimized(networks, OptimizationOptions())  # with modules that `to` may change in place
    if dtype != networks.dtype:
        speech = own.speech
        assert isinstance(speech, WhisperSpeech)
        own = replace(
            own,
            unet=_cast(own.unet, dtype),
            vae=_cast(own.vae, dtype),
            speech=WhisperSpeech(_cast(speech.encoder, dtype)),
            dtype=dtype,
        )
    return optimized(own, options)


def _cast(network: Any, dtype: torch.dtype) -> Any:
    """A copy in another precision. The state dict travels: `deepcopy` would double the memory."""
    with torch.device("meta"):
        fresh = type(network)(network.dimensions)
    state = {name: tensor.to(dtype) for name, tensor in network.state_dict().items()}
    fresh.load_state_dict(state, strict=True, assign=True)
    return fresh.eval().requires_grad_(False)


def half(device: torch.device) -> torch.dtype:
    """The precision of all contenders: float16 as upstream, bfloat16 where that is faster."""
    return torch.float16 if device.type == "cuda" else torch.bfloat16


def make_avatar(sizes: Sizes, seed: int) -> Avatar:
    """Pictures of noise over a gradient."""
    drawn = np.random.default_rng(seed)
    width, height = sizes.picture
    noise = drawn.integers(0, 25, (height, width, 3), np.uint8)
    pictures = []
    for index in range(sizes.frames):
        across = 90 + 60 * np.sin(np.linspace(0, 5, width) + index)
        light = (across + np.linspace(0, 40, height)[:, np.newaxis]).astype(np.uint8)
        picture = np.roll(noise, 7 * index, axis=1) + light[..., np.newaxis]
        picture.flags.writeable = False
        pictures.append(picture)
    frames = tuple(AvatarFrame(picture, None) for picture in pictures)
    report = QualityReport(
        width, height, len(frames), len(frames), 0, 0, 1, 1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    )
    return Avatar(frames, True, "synthetic", report)


def plan_of(sizes: Sizes, index: int) -> BlendPlan:
    """A face of 45 % of the picture's height that wanders, with its soft mask."""
    width, height = sizes.picture
    tall = round(0.45 * height) + index % 7
    wide = round(0.8 * tall) + index % 5
    left = (width - wide) // 2 + index % 11 - 5
    top = (height - tall) // 2 + index % 9 - 4
    box = Box(left, top, left + wide, top + tall)
    margin = wide // 8
    region = Box(left + margin, top + tall // 2, left + wide - margin, top + tall)
    across = np.sin(np.linspace(0, np.pi, region.width))
    down = np.sin(np.linspace(0, np.pi, region.height))
    mask = 255 * np.clip(2.5 * np.outer(down, across), 0, 1)
    return BlendPlan(box, region, mask.astype(np.uint8))
