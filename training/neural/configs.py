"""The published configs of MuseTalk's three networks, at widths that a laptop runs and trains."""

from __future__ import annotations

from typing import Any

from lipstream.rendering.musetalk.models.unet import UNet, UNetDimensions
from lipstream.rendering.musetalk.models.vae import Vae, VaeDimensions
from lipstream.speech.musetalk.whisper import WhisperDimensions, WhisperEncoder

WIDTH = 64  # of the audio; the published networks have 384

WHISPER: dict[str, Any] = {
    "model_type": "whisper",
    "activation_function": "gelu",
    "d_model": WIDTH,
    "encoder_attention_heads": 4,
    "encoder_ffn_dim": 4 * WIDTH,
    "encoder_layers": 4,
    "max_source_positions": 1500,
    "num_mel_bins": 80,
}

# A norm takes the mean of each of its groups away. With as many groups as channels that is the
# picture's colour; two groups leave all differences between channels but one.
VAE: dict[str, Any] = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [12, 24, 32, 48],  # few at full size, where time goes
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "out_channels": 3,
    "sample_size": 256,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}

UNET: dict[str, Any] = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "attention_head_dim": 4,
    "block_out_channels": [32, 48, 48, 64],
    "center_input_sample": False,
    "cross_attention_dim": WIDTH,
    "down_block_types": [
        "DownBlock2D",
        "CrossAttnDownBlock2D",
        "CrossAttnDownBlock2D",
        "DownBlock2D",
    ],
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 8,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 4,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
}


def new_whisper() -> WhisperEncoder:
    """323,584 numbers."""
    return WhisperEncoder(WhisperDimensions.from_config(WHISPER))


def new_vae(scaling: float = 1.0) -> Vae:
    """465,027 numbers; `scaling` brings its latents to about unit variance."""
    return Vae(VaeDimensions.from_config({**VAE, "scaling_factor": scaling}))


def new_unet() -> UNet:
    """1,530,836 numbers."""
    return UNet(UNetDimensions.from_config(UNET))
