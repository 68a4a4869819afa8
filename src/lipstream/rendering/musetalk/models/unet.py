"""The UNet of MuseTalk, Stable Diffusion's at timestep 0: surroundings and audio -> a face."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipstream.rendering.musetalk.models.config_reader import ConfigReader
from lipstream.rendering.musetalk.models.layers import (
    BlockConfig,
    Downsample,
    ResnetBlock,
    Upsample,
)
from lipstream.rendering.musetalk.models.transformer import SpatialTransformer

# The types of levels, and whether they attend to the audio.
_DOWN = {"DownBlock2D": False, "CrossAttnDownBlock2D": True}
_UP = {"UpBlock2D": False, "CrossAttnUpBlock2D": True}


@dataclass(frozen=True, slots=True)
class UNetDimensions:
    """The sizes of one UNet. Tuples have one entry per level, from the finest to the coarsest."""

    in_channels: int  # masked latents, then reference latents
    out_channels: int
    widths: tuple[int, ...]
    layers: tuple[int, ...]  # residual blocks on the way down; one more on the way up
    down_cross_attention: tuple[bool, ...]  # the level attends to the audio
    up_cross_attention: tuple[bool, ...]  # in the order of the way up: from the coarsest
    heads: tuple[int, ...]
    audio_width: int
    block: BlockConfig
    downsample_padding: int
    middle_scale: float
    cosine_first: bool  # in the time embedding
    centred: bool  # the input is moved from 0..1 to -1..1

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], source: str = "The config of the UNet"
    ) -> UNetDimensions:
        """Read a `musetalk.json`; refuse in one sentence what this network cannot honour."""
        reader = ConfigReader(config, source, "UNet2DConditionModel")
        widths = reader.counts("block_out_channels", (320, 640, 1280, 1280))
        levels = len(widths)
        downs, ups = ("CrossAttnDownBlock2D",) * 3, ("CrossAttnUpBlock2D",) * 3
        down = reader.choices("down_block_types", (*downs, "DownBlock2D"), _DOWN)
        up = reader.choices("up_block_types", ("UpBlock2D", *ups), _UP)
        reader.same_length("down_block_types", down, levels)
        reader.same_length("up_block_types", up, levels)
        # The name is wrong in every published config: it is the number of heads.
        heads = reader.per_level("attention_head_dim", 8, levels)
        reader.multiple("block_out_channels", widths, heads)
        dimensions = cls(
            in_channels=reader.count("in_channels", 4),
            out_channels=reader.count("out_channels", 4),
            widths=widths,
            layers=reader.per_level("layers_per_block", 2, levels),
            down_cross_attention=tuple(_DOWN[name] for name in down),
            up_cross_attention=tuple(_UP[name] for name in up),
            heads=heads,
            audio_width=reader.count("cross_attention_dim", 1280),
            block=BlockConfig.from_config(reader, widths, reader.positive("norm_eps", 1e-5)),
            downsample_padding=reader.choice("downsample_padding", 1, (0, 1)),
            middle_scale=reader.positive("mid_block_scale_factor", 1.0),
            cosine_first=reader.flag("flip_sin_to_cos", True),
            centred=reader.flag("center_input_sample", False),
        )
        reader.number("freq_shift", 0)  # of frequencies that timestep 0 multiplies by nothing
        reader.ignore("sample_size", "dropout", "addition_embed_type_num_heads")
        reader.fixed(mid_block_type="UNetMidBlock2DCrossAttn", transformer_layers_per_block=1)
        reader.fixed(resnet_time_scale_shift="default", resnet_out_scale_factor=1.0)
        reader.fixed(time_embedding_type="positional", attention_type="default")
        reader.fixed(conv_in_kernel=3, conv_out_kernel=3)
        reader.finish()
        return dimensions


class _Block(nn.Module):
    """Residual blocks of one size, each followed by a transformer where there is one for it."""

    def __init__(
        self,
        sizes: list[tuple[int, int]],
        transformers: int,
        heads: int,
        dimensions: UNetDimensions,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        config, width = dimensions.block, dimensions.audio_width
        time = 4 * dimensions.widths[0]
        self.resnets = nn.ModuleList(
            ResnetBlock(enter, leave, config, time, scale) for enter, leave in sizes
        )
        self.attentions = nn.ModuleList(
            SpatialTransformer(leave, heads, config.groups, width)
            for _, leave in sizes[:transformers]
        )

    def layer(self, index: int, x: Tensor, time: Tensor | None, audio: Tensor) -> Tensor:
        x = self.resnets[index](x, time)
        if index < len(self.attentions):
            x = self.attentions[index](x, audio)
        return x


class _DownBlock(_Block):
    """(b, enter, h, w) -> every result on the way, the last one half the size unless coarsest."""

    def __init__(self, level: int, dimensions: UNetDimensions) -> None:
        widths, layers = dimensions.widths, dimensions.layers[level]
        leave = widths[level]
        sizes = [(widths[max(level - 1, 0)], leave)] + [(leave, leave)] * (layers - 1)
        transformers = layers * dimensions.down_cross_attention[level]
        super().__init__(sizes, transformers, dimensions.heads[level], dimensions)
        coarsest = level == len(widths) - 1
        self.downsamplers = nn.ModuleList(
            [] if coarsest else [Downsample(leave, dimensions.downsample_padding)]
        )

    def forward(self, x: Tensor, time: Tensor | None, audio: Tensor) -> list[Tensor]:
        results = []
        for index in range(len(self.resnets)):
            x = self.layer(index, x, time, audio)
            results.append(x)
        results.extend(down(x) for down in self.downsamplers)
        return results


class _MidBlock(_Block):
    """Two residual blocks at the coarsest size and a transformer between them."""

    def __init__(self, dimensions: UNetDimensions) -> None:
        sizes = [(dimensions.widths[-1],) * 2] * 2
        super().__init__(sizes, 1, dimensions.heads[-1], dimensions, dimensions.middle_scale)

    def forward(self, x: Tensor, time: Tensor | None, audio: Tensor) -> Tensor:
        return self.layer(1, self.layer(0, x, time, audio), time, audio)


class _UpBlock(_Block):
    """Takes the results of the way down from the end of a list, one per residual block."""

    def __init__(self, place: int, dimensions: UNetDimensions) -> None:
        widths = dimensions.widths
        level = len(widths) - 1 - place  # place 0 is the coarsest
        leave, count = widths[level], dimensions.layers[level] + 1
        enters = [widths[min(level + 1, len(widths) - 1)]] + [leave] * (count - 1)
        skips = [leave] * (count - 1) + [widths[max(level - 1, 0)]]  # from the way down
        sizes = [(enter + skip, leave) for enter, skip in zip(enters, skips, strict=True)]
        transformers = count * dimensions.up_cross_attention[place]
        super().__init__(sizes, transformers, dimensions.heads[level], dimensions)
        self.upsamplers = nn.ModuleList([Upsample(leave)] if level else [])

    def forward(self, x: Tensor, skips: list[Tensor], time: Tensor | None, audio: Tensor) -> Tensor:
        for index in range(len(self.resnets)):
            x = self.layer(index, torch.cat((x, skips.pop()), dim=1), time, audio)
        for up in self.upsamplers:
            x = up(x, skips[-1].shape[2:])
        return x


class _TimeEmbedding(nn.Module):
    """The embedding of timestep 0, for every residual block."""

    def __init__(self, dimensions: UNetDimensions) -> None:
        super().__init__()
        width = dimensions.widths[0]
        self.cosine_first = dimensions.cosine_first
        self.activate = dimensions.block.activate
        self.linear_1 = nn.Linear(width, 4 * width)
        self.linear_2 = nn.Linear(4 * width, 4 * width)

    def forward(self) -> Tensor:
        """(1, time), after the activation that every residual block begins with."""
        weight = self.linear_1.weight
        waves = weight.new_zeros(1, weight.shape[1])  # the sines of 0
        first = 0 if self.cosine_first else weight.shape[1] // 2
        waves[:, first : first + weight.shape[1] // 2] = 1.0  # the cosines
        return self.activate(self.linear_2(self.activate(self.linear_1(waves))))


class UNet(nn.Module):
    """Latents of a face without its mouth, and of a reference, and audio -> latents of the face."""

    def __init__(self, dimensions: UNetDimensions) -> None:
        super().__init__()
        widths, config = dimensions.widths, dimensions.block
        levels = range(len(widths))
        self.dimensions = dimensions
        self.conv_in = nn.Conv2d(dimensions.in_channels, widths[0], 3, padding=1)
        self.time_embedding: _TimeEmbedding | None = _TimeEmbedding(dimensions)
        self.down_blocks = nn.ModuleList([_DownBlock(level, dimensions) for level in levels])
        self.mid_block = _MidBlock(dimensions)
        self.up_blocks = nn.ModuleList([_UpBlock(place, dimensions) for place in levels])
        self.conv_norm_out: nn.Module = config.norm(widths[0], config.activate)
        self.conv_out = nn.Conv2d(widths[0], dimensions.out_channels, 3, padding=1)
        self.audio_projection: nn.Module | None = None  # before the attentions, not in each

    def forward(self, latents: Tensor, audio: Tensor) -> Tensor:
        """(b, in_channels, h, w), `add_positions` of the audio -> (b, out_channels, h, w)."""
        time = self.time_embedding() if self.time_embedding is not None else None
        x = self.conv_in(2 * latents - 1 if self.dimensions.centred else latents)
        if self.audio_projection is not None:
            audio = self.audio_projection(audio)
        skips = [x]
        for down in self.down_blocks:
            skips.extend(down(skips[-1], time, audio))
        x = self.mid_block(skips[-1], time, audio)
        for up in self.up_blocks:
            x = up(x, skips, time, audio)
        return self.conv_out(self.conv_norm_out(x))

    def fold_time(self) -> None:
        """Move the embedding of timestep 0 into biases: the same up to rounding, and cheaper.

        The state dict then lacks the layers that made it.
        """
        if self.time_embedding is not None:
            time = self.time_embedding()
            for module in self.modules():
                if isinstance(module, ResnetBlock):
                    module.fold_time(time)
            self.time_embedding = None


def add_positions(audio: Tensor) -> Tensor:
    """(b, tokens, width), one row per frame -> the same with each token's place in its frame.

    Even channels get a sine, odd ones a cosine, of wave lengths that grow to 10000 * 2 pi tokens.
    """
    tokens, width = audio.shape[1:]
    place = torch.arange(tokens, device=audio.device, dtype=torch.float32)[:, None]
    even = torch.arange(0, width, 2, device=audio.device, dtype=torch.float32)
    # In double precision: exp of float32 differs in its last bits from processor to processor, and
    # the place multiplies that.
    rate = torch.exp((even * (-math.log(10_000.0) / width)).double()).float()
    angle = place * rate  # (tokens, width / 2)
    waves = torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)[:, :width]
    return (audio.float() + waves).to(audio.dtype)
