"""The layers that the UNet and the autoencoder share, on (batch, channels, height, width)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.config_reader import ConfigReader

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)

ACTIVATIONS: dict[str, type[nn.Module]] = {
    **{"silu": nn.SiLU, "swish": nn.SiLU, "mish": nn.Mish},
    **{"gelu": nn.GELU, "relu": nn.ReLU},
}


@dataclass(frozen=True, slots=True)
class BlockConfig:
    """The settings that all residual blocks of a network share."""

    groups: int
    eps: float
    activation: str

    @classmethod
    def from_config(cls, reader: ConfigReader, widths: tuple[int, ...], eps: float) -> BlockConfig:
        """Read the keys of norms and activations; `widths` must fit the groups."""
        groups = reader.count("norm_num_groups", 32)
        reader.multiple("block_out_channels", widths, (groups,) * len(widths))
        return cls(groups, eps, reader.choice("act_fn", "silu", ACTIVATIONS))

    def norm(self, channels: int, activate: nn.Module | None = None) -> Norm:
        return Norm(self.groups, channels, self.eps, activate)

    @property
    def activate(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()


class Norm(nn.GroupNorm):
    """Every group of channels to mean 0 and variance 1, then the activation if there is one."""

    def __init__(
        self, groups: int, channels: int, eps: float, activate: nn.Module | None = None
    ) -> None:
        super().__init__(groups, channels, eps)
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w) -> the same"""
        normed = super().forward(x)
        return normed if self.activate is None else self.activate(normed)


class ResnetBlock(nn.Module):
    """Two convolutions beside a short cut; a time embedding, if any, is added in between."""

    def __init__(
        self, enter: int, leave: int, config: BlockConfig, time: int = 0, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.scale = scale  # the sum is divided by it
        self.norm1 = config.norm(enter, config.activate)
        self.conv1 = nn.Conv2d(enter, leave, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, leave) if time else None
        self.norm2 = config.norm(leave, config.activate)
        self.conv2 = nn.Conv2d(leave, leave, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(enter, leave, 1) if enter != leave else None

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(b, enter, h, w), (1, time) after its activation -> (b, leave, h, w)."""
        h: Tensor = self.conv1(self.norm1(x))
        if self.time_emb_proj is not None:
            h = h + self.time_emb_proj(time)[:, :, None, None]
        h = self.conv2(self.norm2(h))
        short = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return short + h if self.scale == 1.0 else (short + h) / self.scale

    @torch.no_grad()
    def fold_time(self, time: Tensor) -> None:
        """Put what the constant `time` adds into the bias before it."""
        if self.time_emb_proj is not None and self.conv1.bias is not None:
            # A new tensor: the old one may be shared, or mapped from its file.
            bias = self.conv1.bias + self.time_emb_proj(time)[0]
            self.conv1.bias = nn.Parameter(bias, requires_grad=False)
            self.time_emb_proj = None


class Downsample(nn.Module):
    """Half the size. With no padding, one row and column are added at the far edges only."""

    def __init__(self, channels: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)
        self.far_edge = padding == 0

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.far_edge else x)


class Upsample(nn.Module):
    """Each pixel becomes four, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, size: torch.Size | None = None) -> Tensor:
        """`size`: the (h, w) of the result when it is not exactly double."""
        target = [2 * x.shape[2], 2 * x.shape[3]] if size is None else list(size)
        return self.conv(F.interpolate(x, size=target, mode="nearest"))


class Attention(nn.Module):
    """Tokens of `width` attend to themselves or to tokens of `context_width`."""

    def __init__(self, width: int, context_width: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=bias)
        self.to_k = nn.Linear(context_width, width, bias=bias)
        self.to_v = nn.Linear(context_width, width, bias=bias)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """(b, n, width), (b, m, context_width) -> (b, n, width); to itself without a context."""
        context = x if context is None else context
        query, key, value = self.to_q(x), self.to_k(context), self.to_v(context)
        return self.to_out[0](attend(query, key, value, self.heads))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of (b, n, width) to (b, m, width), in `heads` parts -> (b, n, width)."""
    query, key, value = (
        x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value)
    )  # (b, heads, n or m, width / heads)
    mixed: Tensor = F.scaled_dot_product_attention(query, key, value)
    return mixed.transpose(1, 2).flatten(2)


def to_tokens(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, h * w, c); no copy when x is channels_last."""
    return x.flatten(2).transpose(1, 2)


def to_picture(tokens: Tensor, size: torch.Size) -> Tensor:
    """(b, h * w, c) -> (b, c, h, w), channels_last."""
    return tokens.transpose(1, 2).reshape(size)


def convolution(weight: Tensor, bias: Tensor | None, padding: int) -> nn.Conv2d:
    """A layer around these very tensors."""
    leave, enter, height, width = weight.shape
    with torch.device("meta"):
        layer = nn.Conv2d(enter, leave, (height, width), padding=padding, bias=bias is not None)
    return _around(layer, weight, bias)


def linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A layer around these very tensors."""
    leave, enter = weight.shape
    with torch.device("meta"):
        layer = nn.Linear(enter, leave, bias=bias is not None)
    return _around(layer, weight, bias)


def _around(layer: Layer, weight: Tensor, bias: Tensor | None) -> Layer:
    layer.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias, requires_grad=False)
    return layer.eval()
