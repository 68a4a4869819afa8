"""The autoencoder of Stable Diffusion: pictures <-> latents of an eighth of their size.

Names of members are those of the published state dict, so that it loads as it is; only the oldest
files need `current_names` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.config_reader import Settings
from lipstream.rendering.musetalk.models.layers import (
    Downsample,
    ResnetBlock,
    Style,
    Upsample,
    attend,
    to_picture,
    to_tokens,
)

_EPS = 1e-6  # of all norms; the config does not say
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True, slots=True)
class VaeDimensions:
    """The sizes of one autoencoder. `widths` has one entry per level, from the finest."""

    in_channels: int
    out_channels: int
    latent_channels: int
    widths: tuple[int, ...]
    layers: int  # residual blocks per level of the encoder; the decoder has one more
    style: Style
    scaling: float  # the UNet works on latents times this

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], source: str = "The config of the VAE"
    ) -> VaeDimensions:
        """Read a `config.json`; refuse in one sentence what this network cannot honour."""
        says = Settings(config, source, "AutoencoderKL")
        widths = says.counts("block_out_channels", (64,))
        levels = len(widths)
        for key, name in (
            ("down_block_types", "DownEncoderBlock2D"),
            ("up_block_types", "UpDecoderBlock2D"),
        ):
            says.same_length(key, says.choices(key, (name,), (name,)), levels)
        dimensions = cls(
            in_channels=says.count("in_channels", 3),
            out_channels=says.count("out_channels", 3),
            latent_channels=says.count("latent_channels", 4),
            widths=widths,
            layers=says.count("layers_per_block", 1),
            style=Style.from_settings(says, widths, _EPS),
            scaling=says.positive("scaling_factor", 0.18215),
        )
        # `force_upcast` is about half precision in another program; `sample_size` about tiling.
        says.ignore("sample_size", "force_upcast")
        says.fixed(use_quant_conv=True, use_post_quant_conv=True, mid_block_add_attention=True)
        says.finish()
        return dimensions


class Attention(nn.Module):
    """Every pixel looks at every other, in one head."""

    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.group_norm: nn.Module = style.norm(width)
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same"""
        tokens = to_tokens(self.group_norm(x))
        mixed = attend(self.to_q(tokens), self.to_k(tokens), self.to_v(tokens), heads=1)
        return x + to_picture(self.to_out[0](mixed), x.shape)


class Middle(nn.Module):
    def __init__(self, width: int, style: Style) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(width, width, style) for _ in range(2)])
        self.attentions = nn.ModuleList([Attention(width, style)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return x


class _Level(nn.Module):
    """Residual blocks of one size."""

    def __init__(self, enter: int, leave: int, count: int, style: Style) -> None:
        super().__init__()
        enters = [enter] + [leave] * (count - 1)
        self.resnets = nn.ModuleList([ResnetBlock(width, leave, style) for width in enters])

    def forward(self, x: Tensor) -> Tensor:
        for resnet in self.resnets:
            x = resnet(x)
        return x


class _Down(_Level):
    def __init__(self, enter: int, leave: int, count: int, style: Style, coarsest: bool) -> None:
        super().__init__(enter, leave, count, style)
        self.downsamplers = nn.ModuleList([] if coarsest else [Downsample(leave, padding=0)])

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        for down in self.downsamplers:
            x = down(x)
        return x


class _Up(_Level):
    def __init__(self, enter: int, leave: int, count: int, style: Style, finest: bool) -> None:
        super().__init__(enter, leave, count, style)
        self.upsamplers = nn.ModuleList([] if finest else [Upsample(leave)])

    def forward(self, x: Tensor) -> Tensor:
        x = super().forward(x)
        for up in self.upsamplers:
            x = up(x)
        return x


class _Encoder(nn.Module):
    """(b, in_channels, 8 h, 8 w) -> (b, 2 * latent_channels, h, w)"""

    def __init__(self, dimensions: VaeDimensions) -> None:
        super().__init__()
        widths, style = dimensions.widths, dimensions.style
        self.conv_in = nn.Conv2d(dimensions.in_channels, widths[0], 3, padding=1)
        enters = (widths[0], *widths[:-1])
        self.down_blocks = nn.ModuleList(
            [
                _Down(enter, leave, dimensions.layers, style, level == len(widths) - 1)
                for level, (enter, leave) in enumerate(zip(enters, widths, strict=True))
            ]
        )
        self.mid_block = Middle(widths[-1], style)
        # Whatever `act_fn` says.
        self.conv_norm_out: nn.Module = style.norm(widths[-1], F.silu)
        self.conv_out = nn.Conv2d(widths[-1], 2 * dimensions.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for down in self.down_blocks:
            x = down(x)
        x = self.mid_block(x)
        x = self.conv_out(self.conv_norm_out(x))
        return x


class _Decoder(nn.Module):
    """(b, latent_channels, h, w) -> (b, out_channels, 8 h, 8 w)"""

    def __init__(self, dimensions: VaeDimensions) -> None:
        super().__init__()
        widths, style = dimensions.widths[::-1], dimensions.style
        self.conv_in: nn.Module = nn.Conv2d(dimensions.latent_channels, widths[0], 3, padding=1)
        self.mid_block = Middle(widths[0], style)
        enters = (widths[0], *widths[:-1])
        self.up_blocks = nn.ModuleList(
            [
                _Up(enter, leave, dimensions.layers + 1, style, level == len(widths) - 1)
                for level, (enter, leave) in enumerate(zip(enters, widths, strict=True))
            ]
        )
        # Whatever `act_fn` says.
        self.conv_norm_out: nn.Module = style.norm(widths[-1], F.silu)
        self.conv_out = nn.Conv2d(widths[-1], dimensions.out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for up in self.up_blocks:
            x = up(x)
        x = self.conv_out(self.conv_norm_out(x))
        return x


class Vae(nn.Module):
    """Both halves. Latents in and out are not scaled unless a method says so."""

    def __init__(self, dimensions: VaeDimensions) -> None:
        super().__init__()
        channels = dimensions.latent_channels
        self.dimensions = dimensions
        self.encoder = _Encoder(dimensions)
        self.decoder = _Decoder(dimensions)
        self.quant_conv = nn.Conv2d(2 * channels, 2 * channels, 1)
        # None where the decoder takes latents as the UNet makes them.
        self.post_quant_conv: nn.Conv2d | None = nn.Conv2d(channels, channels, 1)

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """RGB in -1..1, (b, 3, H, W) -> mean and standard deviation, (b, 4, H / 8, W / 8) each."""
        mean, log_variance = self.quant_conv(self.encoder(images)).chunk(2, dim=1)
        return mean, torch.exp(0.5 * log_variance.clamp(-30.0, 20.0))

    def encode(self, images: Tensor) -> Tensor:
        """RGB in -1..1, (b, 3, H, W) -> (b, 4, H / 8, W / 8).

        The mean: a drawn sample would make every run different and is no better.
        """
        return self.posterior(images)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """(b, 4, h, w) -> (b, 3, 8 h, 8 w), RGB near -1..1, not clipped."""
        if self.post_quant_conv is None:
            return self.decode_scaled(latents * self.dimensions.scaling)
        images: Tensor = self.decoder(self.post_quant_conv(latents))
        return images

    def decode_scaled(self, latents: Tensor) -> Tensor:
        """The same from latents times `dimensions.scaling`, which is what the UNet makes."""
        if self.post_quant_conv is None:
            images: Tensor = self.decoder(latents)
            return images
        return self.decode(latents / self.dimensions.scaling)


def to_pictures(raw: Tensor) -> Tensor:
    """What `Vae.decode` gives, (b, 3, H, W) -> RGB uint8, (b, H, W, 3)."""
    unit = (raw.float() / 2 + 0.5).clamp(0.0, 1.0)
    return (unit * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict whose attentions may be named as in the oldest published files.

    Some of those hold the attention's matrices as 1x1 convolutions.
    """
    named = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if "attentions" in parts and len(parts) > 2:
            parts[-2] = _OLD_NAMES.get(parts[-2], parts[-2])
            if parts[-1] == "weight" and tensor.ndim == 4:
                tensor = tensor[:, :, 0, 0]
        named[".".join(parts)] = tensor
    return named
