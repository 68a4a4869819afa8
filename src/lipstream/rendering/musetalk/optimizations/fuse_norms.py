"""Norms with their activations, and residual blocks, in as few passes as possible."""

from __future__ import annotations

from torch import Tensor, nn

from lipstream.rendering.musetalk.models import layers
from lipstream.rendering.musetalk.models.transformer import GatedGelu, SpatialTransformer
from lipstream.rendering.musetalk.optimizations import fused_ops


class FusedNorm(nn.Module):
    """A `Norm` that first adds a number to each channel: the bias of what comes before it."""

    def __init__(self, plain: layers.Norm) -> None:
        super().__init__()
        self.weight, self.bias = plain.weight, plain.bias
        self.groups, self.eps, self.activate = plain.num_groups, plain.eps, plain.activate

    def forward(self, x: Tensor, shift: Tensor | None = None) -> Tensor:
        """(b, channels, h, w), (channels,) -> (b, channels, h, w)"""
        silu = isinstance(self.activate, nn.SiLU)
        normed = fused_ops.norm(x, shift, self.weight, self.bias, self.groups, self.eps, silu)
        return normed if silu or self.activate is None else self.activate(normed)


class FusedResnetBlock(nn.Module):
    """A `ResnetBlock` whose biases are added where pictures are read anyway."""

    def __init__(self, plain: layers.ResnetBlock) -> None:
        super().__init__()
        self.scale = plain.scale
        self.time_emb_proj = plain.time_emb_proj
        self.norm1, self.norm2 = FusedNorm(plain.norm1), FusedNorm(plain.norm2)
        self.conv1, self.middle = _parted(plain.conv1)
        self.conv2, self.last = _parted(plain.conv2)
        self.conv_shortcut = None
        if plain.conv_shortcut is not None:
            self.conv_shortcut, shortcut = _parted(plain.conv_shortcut)
            self.last = nn.Parameter(self.last + shortcut, requires_grad=False)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(b, enter, h, w), (1, time) after its activation -> (b, leave, h, w)."""
        shift: Tensor = self.middle
        if self.time_emb_proj is not None:
            shift = shift + self.time_emb_proj(time)[0]
        h = self.conv2(self.norm2(self.conv1(self.norm1(x)), shift))
        short = x if self.conv_shortcut is None else self.conv_shortcut(x)
        return fused_ops.add(short, h, self.last, self.scale)


class FusedSpatialTransformer(nn.Module):
    """A `SpatialTransformer` whose 1x1 convolutions are products that add their own biases."""

    def __init__(self, plain: SpatialTransformer) -> None:
        super().__init__()
        assert isinstance(plain.norm, layers.Norm)
        self.norm = FusedNorm(plain.norm)
        self.proj_in, self.proj_out = _product(plain.proj_in), _product(plain.proj_out)
        self.transformer_blocks = plain.transformer_blocks

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """(b, width, h, w), (b, tokens, audio_width) -> (b, width, h, w)"""
        tokens = self.proj_in(layers.to_tokens(self.norm(x)))
        tokens = self.transformer_blocks[0](tokens, audio)
        return x + layers.to_picture(self.proj_out(tokens), x.shape)


class FusedGatedGelu(nn.Module):
    """A `GatedGelu` that reads its projection once."""

    def __init__(self, plain: GatedGelu) -> None:
        super().__init__()
        self.proj = plain.proj

    def forward(self, x: Tensor) -> Tensor:
        return fused_ops.gate(self.proj(x))


def fuse_norms(network: nn.Module) -> None:
    """Replace every norm of `network`, all that holds one and adds, and every gate."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, layers.ResnetBlock):
                setattr(parent, name, FusedResnetBlock(child))
            elif isinstance(child, SpatialTransformer):
                setattr(parent, name, FusedSpatialTransformer(child))
            elif isinstance(child, GatedGelu):
                setattr(parent, name, FusedGatedGelu(child))
            elif isinstance(child, layers.Norm) and not isinstance(
                parent, (layers.ResnetBlock, SpatialTransformer)
            ):
                setattr(parent, name, FusedNorm(child))


def _product(conv: nn.Conv2d) -> nn.Linear:
    return layers.linear(conv.weight[:, :, 0, 0], conv.bias)


def _parted(conv: nn.Conv2d) -> tuple[nn.Conv2d, nn.Parameter]:
    """The convolution without its bias, and its bias."""
    bias = conv.weight.new_zeros(conv.out_channels) if conv.bias is None else conv.bias
    return (
        layers.convolution(conv.weight, None, int(conv.padding[0])),
        nn.Parameter(bias, requires_grad=False),
    )
