"""Savings that are algebra on weights: two steps in one, rounded once from float32 or better.

Example, one row of an upsampling: pixels x y z, doubled to x x y y z z, convolved by (a, b, c). The
two pixels in the place of y are a x + (b + c) y and (a + b) y + c z: two taps on the row as it was,
(a, b + c) and (a + b, c), instead of three on the doubled one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.layers import Upsample, convolution, linear
from lipstream.rendering.musetalk.models.vae import SpatialAttention, Vae
from lipstream.rendering.musetalk.optimizations import fused_ops

# The weights of three taps on doubled rows: first of those that fall on the row before and on the
# own row of even rows, then of those that fall on the own row and on the row after of odd ones.
_FOLD = ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_UNFOLD = ((1.0, 0.0, 0.0, 0.0), (-0.5, 0.5, 0.5, -0.5), (0.0, 0.0, 0.0, 1.0))

_ALIGNED = 8  # channels, in half precision


class FoldedUpsample(nn.Module):
    """An `Upsample` that convolves first, 2x2 pixels to four: 16 products per pixel, not 36."""

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__()
        bias = None if plain.bias is None else plain.bias.repeat(4)
        self.conv = convolution(_fold(plain.weight), bias, padding=1)

    def forward(self, x: Tensor, size: torch.Size | None = None) -> Tensor:
        """`size`: the (h, w) of the result when it is not exactly double."""
        bias = None if self.conv.bias is None else self.conv.bias[: x.shape[1]]
        if size is not None and tuple(size) != (2 * x.shape[2], 2 * x.shape[3]):
            # The last row or column of an odd size has no second half, which the fold counts on.
            larger = F.interpolate(x, size=list(size), mode="nearest")
            return F.conv2d(larger, _unfold(self.conv.weight), bias, padding=1)
        if bias is None or not fused_ops.supported(x):
            return fused_ops.interleave(self.conv(x), None)
        # Where a bias is a pass of its own over the picture, it is added on the way.
        return fused_ops.interleave(F.conv2d(x, self.conv.weight, padding=1), bias)


def fold_upsampling(network: nn.Module) -> None:
    """Replace every `Upsample` of `network`."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Upsample):
                setattr(parent, name, FoldedUpsample(child.conv))


class OnesConv(nn.Module):
    """A convolution of pictures to which channels of ones are added, as many as its weight has.

    The ones carry the bias of an earlier layer, which beyond the border is zero like all else.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, padding: int) -> None:
        super().__init__()
        self.conv = convolution(weight, bias, padding)
        self.enter = weight.shape[1]

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 0, 0, 0, 0, self.enter - x.shape[1]), value=1.0))


def fold_scales(vae: Vae) -> None:
    """Fold scaling and `post_quant_conv` into the decoder's first convolution."""
    before, first = vae.post_quant_conv, vae.decoder.conv_in
    if before is None or not isinstance(first, nn.Conv2d):
        return
    weight, inner = _wide(first.weight), _wide(before.weight)[:, :, 0, 0]
    parts = [torch.einsum("omyx,mi->oiyx", weight, inner) / vae.dimensions.scaling]
    if before.bias is not None:
        parts.append(torch.einsum("omyx,m->oyx", weight, _wide(before.bias))[:, None])
    channels = sum(part.shape[1] for part in parts)
    # Tensor cores take channels by eights: eight cost no more than five.
    parts.append(weight.new_zeros(len(weight), -channels % _ALIGNED, *weight.shape[2:]))
    folded = torch.cat(parts, dim=1).to(first.weight.dtype)
    vae.decoder.conv_in = OnesConv(folded, first.bias, padding=first.kernel_size[0] // 2)
    vae.post_quant_conv = None


def fold_outputs(network: nn.Module) -> None:
    """Fold the output matrix of every attention of an autoencoder into that of its values.

    There is one head, and weights sum to one: a mixture of projected values is a projected mixture.
    """
    for module in network.modules():
        if isinstance(module, SpatialAttention) and isinstance(module.to_out[0], nn.Linear):
            value, out = module.to_v, module.to_out[0]
            dtype = value.weight.dtype
            outer = _wide(out.weight)
            bias = outer @ _wide(value.bias) + _wide(out.bias)
            module.to_v = linear((outer @ _wide(value.weight)).to(dtype), bias.to(dtype))
            module.to_out = nn.ModuleList([nn.Identity()])


def _fold(weight: Tensor) -> Tensor:
    """(o, i, 3, 3) -> (4 o, i, 2, 2)"""
    wide = _wide(weight)
    fold = wide.new_tensor(_FOLD).view(2, 2, 3)
    folded = torch.einsum("ruy,csx,oiyx->rcoius", fold, fold, wide)
    return folded.reshape(-1, weight.shape[1], 2, 2).contiguous().to(weight.dtype)


def _unfold(weight: Tensor) -> Tensor:
    """(4 o, i, 2, 2) -> (o, i, 3, 3), as exact as the precision of the weights"""
    wide = _wide(weight).reshape(2, 2, -1, weight.shape[1], 2, 2)
    unfold = wide.new_tensor(_UNFOLD).view(3, 2, 2)
    return torch.einsum("yru,xcs,rcoius->oiyx", unfold, unfold, wide).to(weight.dtype)


def _wide(weight: Tensor) -> Tensor:
    return weight.to(torch.promote_types(weight.dtype, torch.float32))
