"""A small decoder for the autoencoder's latents: TAESD, or another that is published like it.

Eighteen times cheaper than the autoencoder's own, and only close to it: for the turbo profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipstream.rendering.musetalk.models.config_reader import ConfigReader
from lipstream.rendering.musetalk.models.layers import ACTIVATIONS
from lipstream.rendering.musetalk.optimizations.fold import FoldedUpsample

_LATENT_LIMIT = 3.0  # latents are squeezed into -3..3


@dataclass(frozen=True, slots=True)
class TaesdDimensions:
    """The sizes of one small decoder."""

    latent_channels: int
    out_channels: int
    width: int  # of every layer
    blocks: tuple[int, ...]  # per level, from the coarsest; each level but the last is doubled
    activation: str
    scaling: float  # it takes latents times the autoencoder's scaling, divided by this

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], source: str = "The config of the small decoder"
    ) -> TaesdDimensions:
        """Read a `config.json`; refuse in one sentence what this network cannot honour."""
        reader = ConfigReader(config, source, "AutoencoderTiny")
        widths = reader.counts("decoder_block_out_channels", (64, 64, 64, 64))
        blocks = reader.counts("num_decoder_blocks", (3, 3, 3, 1))
        reader.same_length("num_decoder_blocks", blocks, len(widths))
        reader.uniform("decoder_block_out_channels", widths)
        dimensions = cls(
            latent_channels=reader.count("latent_channels", 4),
            out_channels=reader.count("out_channels", 3),
            width=widths[0],
            blocks=blocks,
            activation=reader.choice("act_fn", "relu", ACTIVATIONS),
            scaling=reader.positive("scaling_factor", 1.0),
        )
        reader.fixed(upsampling_scaling_factor=2, upsample_fn="nearest", shift_factor=0.0)
        # Of the other half, of tiling, of storage as bytes, and a copy of a key above.
        reader.ignore("in_channels", "encoder_block_out_channels", "num_encoder_blocks")
        reader.ignore("latent_magnitude", "latent_shift", "force_upcast", "block_out_channels")
        reader.finish()
        return dimensions


class _Block(nn.Module):
    """Three convolutions beside a short cut."""

    def __init__(self, width: int, activate: nn.Module) -> None:
        super().__init__()
        first, second, third = (nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.conv = nn.Sequential(first, activate, second, activate, third)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x) + x)


class TaesdDecoder(nn.Module):
    """(b, latent_channels, h, w), scaled as the UNet makes them -> (b, out_channels, 8 h, 8 w)."""

    def __init__(self, dimensions: TaesdDimensions) -> None:
        super().__init__()
        width, activate = dimensions.width, ACTIVATIONS[dimensions.activation]()
        self.dimensions = dimensions
        layers = self.layers = nn.ModuleList()
        layers.extend([nn.Conv2d(dimensions.latent_channels, width, 3, padding=1), activate])
        for level, count in enumerate(dimensions.blocks):
            if level:
                layers.append(nn.Upsample(scale_factor=2.0))
                layers.append(nn.Conv2d(width, width, 3, padding=1, bias=False))
            layers.extend(_Block(width, activate) for _ in range(count))
        layers.append(nn.Conv2d(width, dimensions.out_channels, 3, padding=1))

    def forward(self, latents: Tensor) -> Tensor:
        """RGB near -1..1, not clipped."""
        x = torch.tanh(latents / (self.dimensions.scaling * _LATENT_LIMIT)) * _LATENT_LIMIT
        for layer in self.layers:
            x = layer(x)
        return x * 2 - 1

    def fold_upsampling(self) -> None:
        """Convolve before pixels are doubled."""
        for index, layer in enumerate(self.layers):
            if isinstance(layer, nn.Upsample):
                conv = self.layers[index + 1]
                assert isinstance(conv, nn.Conv2d)
                self.layers[index], self.layers[index + 1] = nn.Identity(), FoldedUpsample(conv)


def decoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The decoder's half of a published state dict, without its first word."""
    ours = (key for key in state if key.startswith("decoder."))
    return {key.removeprefix("decoder."): state[key] for key in ours}
