"""The UNet of MuseTalk: what a mouth looks like, from its surroundings and what is heard.

The published networks are Stable Diffusion's UNet, run once at timestep 0. Names of members are
those of the published state dict, so that it loads as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lipstream.rendering.musetalk.models.config_reader import Settings
from lipstream.rendering.musetalk.models.layers import (
    Downsample,
    ResnetBlock,
    Style,
    Upsample,
)
from lipstream.rendering.musetalk.models.transformer import SpatialTransformer

_DOWN = {"DownBlock2D": False, "CrossAttnDownBlock2D": True}  # does it listen?
_UP = {"UpBlock2D": False, "CrossAttnUpBlock2D": True}


@dataclass(frozen=True, slots=True)
class UNetDimensions:
    """The sizes of one UNet. Tuples have one entry per level, from the finest to the coarsest."""

    in_channels: int  # masked latents, then reference latents
    out_channels: int
    widths: tuple[int, ...]
    layers: tuple[int, ...]  # residual blocks on the way down; one more on the way up
    down_listens: tuple[bool, ...]  # does the level attend to the audio?
    up_listens: tuple[bool, ...]  # in the order of the way up: from the coarsest
    heads: tuple[int, ...]
    audio_width: int
    style: Style
    downsample_padding: int
    middle_scale: float
    cosine_first: bool  # in the time embedding
    centred: bool  # is the input moved from 0..1 to -1..1?

    @classmethod
    def from_config(
        cls, config: Mapping[str, object], source: str = "The config of the UNet"
    ) -> UNetDimensions:
        """Read a `musetalk.json`; refuse in one sentence what this network cannot honour."""
        says = Settings(config, source, "UNet2DConditionModel")
        widths = says.counts("block_out_channels", (320, 640, 1280, 1280))
        levels = len(widths)
        down = says.choices(
            "down_block_types", ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",), _DOWN
        )
        up = says.choices("up_block_types", ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3, _UP)
        says.same_length("down_block_types", down, levels)
        says.same_length("up_block_types", up, levels)
        # The name is wrong in every published config: it is the number of heads.
        heads = says.per_level("attention_head_dim", 8, levels)
        says.multiple("block_out_channels", widths, heads)
        dimensions = cls(
            in_channels=says.count("in_channels", 4),
            out_channels=says.count("out_channels", 4),
            widths=widths,
            layers=says.per_level("layers_per_block", 2, levels),
            down_listens=tuple(_DOWN[name] for name in down),
            up_listens=tuple(_UP[name] for name in up),
            heads=heads,
            audio_width=says.count("cross_attention_dim", 1280),
            style=Style.from_settings(says, widths, says.positive("norm_eps", 1e-5)),
            downsample_padding=says.choice("downsample_padding", 1, (0, 1)),
            middle_scale=says.positive("mid_block_scale_factor", 1.0),
            cosine_first=says.flag("flip_sin_to_cos", True),
            centred=says.flag("center_input_sample", False),
        )
        _take_the_rest(says)
        return dimensions


def _take_the_rest(says: Settings) -> None:
    """Keys of which one value is supported, and those without effect at timestep 0."""
    says.number("freq_shift", 0)  # scales the frequencies that timestep 0 multiplies by nothing
    says.ignore("sample_size", "dropout", "addition_embed_type_num_heads")
    says.fixed(
        mid_block_type="UNetMidBlock2DCrossAttn",
        transformer_layers_per_block=1,
        resnet_time_scale_shift="default",
        resnet_out_scale_factor=1.0,
        time_embedding_type="positional",
        conv_in_kernel=3,
        conv_out_kernel=3,
        attention_type="default",
    )
    says.finish()


def _listener(width: int, heads: int, dimensions: UNetDimensions) -> SpatialTransformer:
    return SpatialTransformer(width, heads, dimensions.style.groups, dimensions.audio_width)


class _Level(nn.Module):
    """Residual blocks of one size, each followed by a listener where the level listens."""

    def __init__(
        self, sizes: list[tuple[int, int]], listens: bool, heads: int, dimensions: UNetDimensions
    ) -> None:
        super().__init__()
        time = 4 * dimensions.widths[0]
        self.resnets = nn.ModuleList(
            [ResnetBlock(enter, leave, dimensions.style, time) for enter, leave in sizes]
        )
        self.attentions = nn.ModuleList(
            [_listener(leave, heads, dimensions) for _, leave in sizes if listens]
        )

    def layer(self, index: int, x: Tensor, time: Tensor | None, audio: Tensor) -> Tensor:
        x = self.resnets[index](x, time)
        if len(self.attentions):
            x = self.attentions[index](x, audio)
        return x


class _Down(_Level):
    """(b, enter, h, w) -> every result on the way, the last one half the size unless coarsest."""

    def __init__(self, level: int, dimensions: UNetDimensions) -> None:
        widths, layers = dimensions.widths, dimensions.layers[level]
        leave = widths[level]
        enters = [widths[max(level - 1, 0)]] + [leave] * (layers - 1)
        sizes = [(enter, leave) for enter in enters]
        super().__init__(sizes, dimensions.down_listens[level], dimensions.heads[level], dimensions)
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


class _Middle(nn.Module):
    def __init__(self, dimensions: UNetDimensions) -> None:
        super().__init__()
        width, time = dimensions.widths[-1], 4 * dimensions.widths[0]
        self.resnets = nn.ModuleList(
            [
                ResnetBlock(width, width, dimensions.style, time, dimensions.middle_scale)
                for _ in range(2)
            ]
        )
        self.attentions = nn.ModuleList([_listener(width, dimensions.heads[-1], dimensions)])

    def forward(self, x: Tensor, time: Tensor | None, audio: Tensor) -> Tensor:
        middle: Tensor = self.resnets[1](self.attentions[0](self.resnets[0](x, time), audio), time)
        return middle


class _Up(_Level):
    """Takes the results of the way down from the end of a list, one per residual block."""

    def __init__(self, place: int, dimensions: UNetDimensions) -> None:
        widths = dimensions.widths
        level = len(widths) - 1 - place  # place 0 is the coarsest
        leave, count = widths[level], dimensions.layers[level] + 1
        enters = [widths[min(level + 1, len(widths) - 1)]] + [leave] * (count - 1)
        kept = [leave] * (count - 1) + [widths[max(level - 1, 0)]]  # of the way down
        sizes = [(enter + skip, leave) for enter, skip in zip(enters, kept, strict=True)]
        super().__init__(sizes, dimensions.up_listens[place], dimensions.heads[level], dimensions)
        self.upsamplers = nn.ModuleList([Upsample(leave)] if level else [])

    def forward(self, x: Tensor, kept: list[Tensor], time: Tensor | None, audio: Tensor) -> Tensor:
        for index in range(len(self.resnets)):
            x = self.layer(index, torch.cat((x, kept.pop()), dim=1), time, audio)
        for up in self.upsamplers:
            x = up(x, kept[-1].shape[2:])
        return x


class _TimeEmbedding(nn.Module):
    """What every residual block is told about timestep 0."""

    def __init__(self, dimensions: UNetDimensions) -> None:
        super().__init__()
        width = dimensions.widths[0]
        self.cosine_first = dimensions.cosine_first
        self.activate = dimensions.style.activate
        self.linear_1 = nn.Linear(width, 4 * width)
        self.linear_2 = nn.Linear(4 * width, 4 * width)

    def forward(self) -> Tensor:
        """(1, time), after the activation that every residual block begins with."""
        weight = self.linear_1.weight
        waves = weight.new_zeros(1, weight.shape[1])  # the sines of nothing
        first = 0 if self.cosine_first else weight.shape[1] // 2
        waves[:, first : first + weight.shape[1] // 2] = 1.0  # and the cosines
        embedded: Tensor = self.activate(self.linear_2(self.activate(self.linear_1(waves))))
        return embedded


class UNet(nn.Module):
    """Latents of a face without its mouth, and of a reference, and audio -> latents of the face."""

    def __init__(self, dimensions: UNetDimensions) -> None:
        super().__init__()
        widths, style = dimensions.widths, dimensions.style
        levels = range(len(widths))
        self.dimensions = dimensions
        self.conv_in = nn.Conv2d(dimensions.in_channels, widths[0], 3, padding=1)
        self.time_embedding: _TimeEmbedding | None = _TimeEmbedding(dimensions)
        self.down_blocks = nn.ModuleList([_Down(level, dimensions) for level in levels])
        self.mid_block = _Middle(dimensions)
        self.up_blocks = nn.ModuleList([_Up(place, dimensions) for place in levels])
        self.conv_norm_out: nn.Module = style.norm(widths[0], style.activate)
        self.conv_out = nn.Conv2d(widths[0], dimensions.out_channels, 3, padding=1)
        self.audio_projection: nn.Module | None = None  # before the attentions, not in each

    def forward(self, latents: Tensor, audio: Tensor) -> Tensor:
        """(b, in_channels, h, w), (b, tokens, audio_width) -> (b, out_channels, h, w).

        The audio comes with its positions (`add_positions`).
        """
        time = self.time_embedding() if self.time_embedding is not None else None
        x = self.conv_in(2 * latents - 1 if self.dimensions.centred else latents)
        if self.audio_projection is not None:
            audio = self.audio_projection(audio)
        kept = [x]
        for down in self.down_blocks:
            kept.extend(down(kept[-1], time, audio))
        x = self.mid_block(kept[-1], time, audio)
        for up in self.up_blocks:
            x = up(x, kept, time, audio)
        face: Tensor = self.conv_out(self.conv_norm_out(x))
        return face

    def fold_time(self) -> None:
        """Move the embedding of timestep 0, which never changes, into biases.

        Cheaper, and the same up to rounding. The state dict then lacks the layers that made it.
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
