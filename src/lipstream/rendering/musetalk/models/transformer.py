"""What lets the UNet look at its whole picture and listen to the audio.

Names of members are those of the published state dict.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.rendering.musetalk.models.layers import Norm, attend, to_picture, to_tokens

_FLAT = 1e-6  # epsilon of the norm before a transformer, whatever the config says of the others


class Attention(nn.Module):
    """Tokens of `width` attend to themselves or to `listened` wide tokens."""

    def __init__(self, width: int, listened: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(listened, width, bias=False)
        self.to_v = nn.Linear(listened, width, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, x: Tensor, listened: Tensor) -> Tensor:
        """(b, n, width), (b, m, listened) -> (b, n, width)"""
        query, key, value = self.to_q(x), self.to_k(listened), self.to_v(listened)
        mixed: Tensor = self.to_out[0](attend(query, key, value, self.heads))
        return mixed


class GatedGelu(nn.Module):
    """One half of a projection, weighted by the GELU of the other."""

    def __init__(self, enter: int, leave: int) -> None:
        super().__init__()
        self.proj = nn.Linear(enter, 2 * leave)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        gated: Tensor = value * F.gelu(gate)
        return gated


class FeedForward(nn.Module):
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
    """Look at the picture, listen to the audio, think."""

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
        normed = self.norm1(x)
        x = x + self.attn1(normed, normed)
        x = x + self.attn2(self.norm2(x), audio)
        thought: Tensor = x + self.ff(self.norm3(x))
        return thought


class SpatialTransformer(nn.Module):
    """A transformer over all pixels of a picture and all tokens of its audio."""

    def __init__(self, width: int, heads: int, groups: int, audio_width: int) -> None:
        super().__init__()
        self.norm: nn.Module = Norm(groups, width, _FLAT)
        self.proj_in = nn.Conv2d(width, width, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(width, heads, audio_width)])
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """(b, width, h, w), (b, tokens, audio_width) -> (b, width, h, w)"""
        tokens = to_tokens(self.proj_in(self.norm(x)))
        tokens = self.transformer_blocks[0](tokens, audio)
        heard: Tensor = x + self.proj_out(to_picture(tokens, x.shape))
        return heard
