"""The autoencoder of Stable Diffusion: pictures <-> latents of an eighth of their size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipstream.rendering.musetalk.models.config_reader import ConfigReader
from lipstream.rendering.musetalk.models.layers import (
    Attention,
    BlockConfig,
    Downsample,
    ResnetBlock,
    Upsample,
    to_picture,
    to_tokens,
)

_EPS = 1e-6  # of all norms; the config has no key for it
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


@dataclass(frozen=True, slots=True)
class VaeDimensions:
    """The sizes of one autoencoder. `widths` has one entry per level, from the finest."""

    in_channels: int
    out_channels: int
    latent_channels: int
    widths: tuple[int, ...]
    layers: int  # residual blocks per level of the encoder; the decoder has one more
    block: BlockConfig
    scaling: float  # the UNet works on latents times this

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], source: str = "The config of the VAE"
    ) -> VaeDimensions:
        """Read a `config.json`; refuse in one sentence what this network cannot honour."""
        reader = ConfigReader(config, source, "AutoencoderKL")
        widths = reader.counts("block_out_channels", (64,))
        levels = len(widths)
        blocks = {"down_block_types": "DownEncoderBlock2D", "up_block_types": "UpDecoderBlock2D"}
        for key, name in blocks.items():
            reader.same_length(key, reader.choices(key, (name,), (name,)), levels)
        dimensions = cls(
            in_channels=reader.count("in_channels", 3),
            out_channels=reader.count("out_channels", 3),
            latent_channels=reader.count("latent_channels", 4),
            widths=widths,
            layers=reader.count("layers_per_block", 1),
            block=BlockConfig.from_config(reader, widths, _EPS),
            scaling=reader.positive("scaling_factor", 0.18215),
        )
        # `force_upcast` is about half precision in another program; `sample_size` about tiling.
        reader.ignore("sample_size", "force_upcast")
        reader.fixed(use_quant_conv=True, use_post_quant_conv=True, mid_block_add_attention=True)
        reader.finish()
        return dimensions


class SpatialAttention(Attention):
    """Every pixel attends to every other, in one head, beside a short cut."""

    def __init__(self, width: int, config: BlockConfig) -> None:
        super().__init__(width, width, heads=1, bias=True)
        self.group_norm: nn.Module = config.norm(width)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(b, width, h, w) -> the same"""
        return x + to_picture(super().forward(to_tokens(self.group_norm(x))), x.shape)


class MidBlock(nn.Module):
    """(b, width, h, w) -> the same"""

    def __init__(self, width: int, config: BlockConfig) -> None:
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(width, width, config) for _ in range(2)])
        self.attentions = nn.ModuleList([SpatialAttention(width, config)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.resnets[1](self.attentions[0](self.resnets[0](x)))
        return x


class _Level(nn.Module):
    """Residual blocks of one size, then the way to the next size, if there is one."""

    def __init__(
        self,
        enter: int,
        leave: int,
        count: int,
        config: BlockConfig,
        down: list[Downsample],
        up: list[Upsample],
    ) -> None:
        super().__init__()
        enters = [enter] + [leave] * (count - 1)
        self.resnets = nn.ModuleList([ResnetBlock(width, leave, config) for width in enters])
        self.downsamplers, self.upsamplers = nn.ModuleList(down), nn.ModuleList(up)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (*self.resnets, *self.downsamplers, *self.upsamplers):
            x = layer(x)
        return x


class _Encoder(nn.Module):
    """(b, in_channels, 8 h, 8 w) -> (b, 2 * latent_channels, h, w)"""

    def __init__(self, dimensions: VaeDimensions) -> None:
        super().__init__()
        widths, config, layers = dimensions.widths, dimensions.block, dimensions.layers
        downs: list[list[Downsample]] = [[Downsample(width, padding=0)] for width in widths[:-1]]
        levels = zip((widths[0], *widths), widths, [*downs, []], strict=False)
        self.conv_in = nn.Conv2d(dimensions.in_channels, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            [_Level(enter, leave, layers, config, down, []) for enter, leave, down in levels]
        )
        self.mid_block = MidBlock(widths[-1], config)
        # SiLU whatever `act_fn` is.
        self.conv_norm_out: nn.Module = config.norm(widths[-1], nn.SiLU())
        self.conv_out = nn.Conv2d(widths[-1], 2 * dimensions.latent_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for down in self.down_blocks:
            x = down(x)
        x = self.conv_out(self.conv_norm_out(self.mid_block(x)))
        return x


class _Decoder(nn.Module):
    """(b, latent_channels, h, w) -> (b, out_channels, 8 h, 8 w)"""

    def __init__(self, dimensions: VaeDimensions) -> None:
        super().__init__()
        widths, config, layers = dimensions.widths[::-1], dimensions.block, dimensions.layers + 1
        ups: list[list[Upsample]] = [[Upsample(width)] for width in widths[:-1]]
        levels = zip((widths[0], *widths), widths, [*ups, []], strict=False)
        self.conv_in: nn.Module = nn.Conv2d(dimensions.latent_channels, widths[0], 3, padding=1)
        self.mid_block = MidBlock(widths[0], config)
        self.up_blocks = nn.ModuleList(
            [_Level(enter, leave, layers, config, [], up) for enter, leave, up in levels]
        )
        # SiLU whatever `act_fn` is.
        self.conv_norm_out: nn.Module = config.norm(widths[-1], nn.SiLU())
        self.conv_out = nn.Conv2d(widths[-1], dimensions.out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mid_block(self.conv_in(x))
        for up in self.up_blocks:
            x = up(x)
        x = self.conv_out(self.conv_norm_out(x))
        return x


class Vae(nn.Module):
    """Encoder and decoder. Latents are unscaled but for `decode_scaled`."""

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
        """RGB in -1..1, (b, 3, H, W) -> the posterior's mean, (b, 4, H / 8, W / 8)."""
        return self.posterior(images)[0]

    def decode(self, latents: Tensor) -> Tensor:
        """(b, 4, h, w) -> (b, 3, 8 h, 8 w), RGB near -1..1, not clipped."""
        if self.post_quant_conv is None:
            return self.decode_scaled(latents * self.dimensions.scaling)
        return self.decoder(self.post_quant_conv(latents))

    def decode_scaled(self, latents: Tensor) -> Tensor:
        """The same from latents times `dimensions.scaling`, as the UNet makes them."""
        if self.post_quant_conv is None:
            return self.decoder(latents)
        return self.decode(latents / self.dimensions.scaling)


def to_pictures(raw: Tensor) -> Tensor:
    """Decoded pictures, (b, 3, H, W) near -1..1 -> RGB uint8, (b, H, W, 3)."""
    unit = (raw.float() / 2 + 0.5).clamp(0.0, 1.0)
    return (unit * 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


def finite_rows(raw: Tensor) -> Tensor:
    """Decoded pictures, (b, 3, H, W) -> (b,) bool: all numbers of the picture are finite."""
    return torch.isfinite(raw).all(dim=(1, 2, 3))


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict that may be of the oldest files: other names, matrices as 1x1 convolutions."""
    named = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if "attentions" in parts and len(parts) > 2:
            parts[-2] = _OLD_NAMES.get(parts[-2], parts[-2])
            if parts[-1] == "weight" and tensor.ndim == 4:
                tensor = tensor[:, :, 0, 0]
        named[".".join(parts)] = tensor
    return named
