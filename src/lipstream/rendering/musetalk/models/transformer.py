"""The transformers of the UNet: over all pixels of a picture and all tokens of its audio."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.layers import Attention, Norm, to_picture, to_tokens

_EPS = 1e-6  # of the norm before a transformer; the config's is for all other norms


class GatedGelu(nn.Module):
    """One half of a projection, weighted by the GELU of the other."""

    def __init__(self, enter: int, leave: int) -> None:
        super().__init__()
        self.proj = nn.Linear(enter, 2 * leave)

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, enter) -> (b, n, leave)"""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """(b, n, width) -> (b, n, width), four times as wide in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # The published network has a dropout in the middle, which counts in the names.
        self.net = nn.ModuleList(
            [GatedGelu(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width)]
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.net:
            x = layer(x)
        return x


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention to audio, feed-forward."""

    def __init__(self, width: int, heads: int, audio_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn1: nn.Module = Attention(width, width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2: nn.Module = Attention(width, audio_width, heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """(b, n, width), (b, tokens, audio_width) -> (b, n, width)"""
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), audio)
        x = x + self.ff(self.norm3(x))
        return x


class SpatialTransformer(nn.Module):
    """A transformer over all pixels of a picture and all tokens of its audio."""

    def __init__(self, width: int, heads: int, groups: int, audio_width: int) -> None:
        super().__init__()
        self.norm: nn.Module = Norm(groups, width, _EPS)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, heads, audio_width)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """(b, width, h, w), (b, tokens, audio_width) -> (b, width, h, w)"""
        tokens = to_tokens(self.proj_in(self.norm(x)))
        tokens = self.transformer_blocks[0](tokens, audio)
        x = x + self.proj_out(to_picture(tokens, x.shape))
        return x
