"""Attention with fewer, larger products: one matrix holds the rows of several small ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lipstream.rendering.musetalk.models import layers
from lipstream.rendering.musetalk.models.transformer import TransformerBlock
from lipstream.rendering.musetalk.models.unet import UNet
from lipstream.rendering.musetalk.models.vae import MidBlock, SpatialAttention


class FusedSelfAttention(nn.Module):
    """An `Attention` of tokens to themselves, with one matrix for query, key and value."""

    def __init__(self, plain: layers.Attention) -> None:
        super().__init__()
        self.heads = plain.heads
        self.to_qkv = stacked([plain.to_q, plain.to_k, plain.to_v])
        self.to_out = plain.to_out

    def forward(self, x: Tensor) -> Tensor:
        """(b, n, width) -> (b, n, width)"""
        query, key, value = self.to_qkv(x).chunk(3, dim=-1)
        return self.to_out[0](layers.attend(query, key, value, self.heads))


class FusedSpatialAttention(FusedSelfAttention):
    """A `SpatialAttention` with one matrix for query, key and value."""

    def __init__(self, plain: SpatialAttention) -> None:
        super().__init__(plain)
        self.group_norm = plain.group_norm

    def forward(self, x: Tensor) -> Tensor:
        """(b, width, h, w) -> the same"""
        return x + layers.to_picture(super().forward(layers.to_tokens(self.group_norm(x))), x.shape)


class FusedAudioAttention(nn.Module):
    """A UNet's attention to audio, which comes as the keys and values of all of them."""

    def __init__(self, plain: layers.Attention, start: int) -> None:
        super().__init__()
        width = plain.to_q.out_features
        self.heads = plain.heads
        self.keys = slice(start, start + width)
        self.values = slice(start + width, start + 2 * width)
        self.to_q = plain.to_q
        self.to_out = plain.to_out

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """(b, n, width), (b, m, all of `share_audio`) -> (b, n, width)"""
        key, value = audio[..., self.keys], audio[..., self.values]
        return self.to_out[0](layers.attend(self.to_q(x), key, value, self.heads))


def fuse_projections(network: nn.Module) -> None:
    """Replace every self-attention of `network`."""
    for parent in list(network.modules()):
        if isinstance(parent, TransformerBlock) and isinstance(parent.attn1, layers.Attention):
            parent.attn1 = FusedSelfAttention(parent.attn1)
        elif isinstance(parent, MidBlock):
            parent.attentions = nn.ModuleList(
                FusedSpatialAttention(plain) if isinstance(plain, SpatialAttention) else plain
                for plain in parent.attentions
            )


def share_audio(network: UNet) -> None:
    """Let one matrix make the keys and values of all attentions to the audio, once per batch.

    Example: two blocks of widths 320 and 640. The matrix has 1920 rows; the first block reads keys
    from 0 and values from 320, the second keys from 640 and values from 1280.
    """
    matrices: list[nn.Linear] = []
    start = 0
    for block in network.modules():
        if isinstance(block, TransformerBlock) and isinstance(block.attn2, layers.Attention):
            plain = block.attn2
            matrices += [plain.to_k, plain.to_v]
            block.attn2 = FusedAudioAttention(plain, start)
            start += 2 * plain.to_q.out_features
    if matrices:
        network.audio_projection = stacked(matrices)


def stacked(matrices: list[nn.Linear]) -> nn.Linear:
    """One matrix that makes side by side what all of them make; all have a bias or none has."""
    weights: list[Tensor] = [one.weight for one in matrices]
    biases: list[Tensor] = [one.bias for one in matrices if one.bias is not None]
    return layers.linear(torch.cat(weights), torch.cat(biases) if biases else None)
