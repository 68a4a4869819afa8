"""The encoder of Whisper: 30 s of sound -> five vectors every 20 ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.errors import CheckpointError
from lipstream.media.image import Floats
from lipstream.speech.musetalk.backbone import PIECE, Excerpt
from lipstream.timeline import FEATURE_STEP, SAMPLE_RATE

HOP = FEATURE_STEP // 2  # 160 samples from one mel column to the next; two columns make a step
FFT = 400  # samples in a window, 25 ms
MAX_SIZE = 1 << 16  # of any dimension
_KEYS = {  # of a published config, for each of the sizes below
    "mel_bins": "num_mel_bins",
    "steps": "max_source_positions",
    "width": "d_model",
    "heads": "encoder_attention_heads",
    "layers": "encoder_layers",
    "inner": "encoder_ffn_dim",
}
_BATCH = 16  # excerpts computed at once; more gain nothing and cost memory


@dataclass(frozen=True, slots=True)
class WhisperDimensions:
    """The sizes of one encoder; the defaults are those of whisper-tiny."""

    mel_bins: int = 80
    steps: int = 1500  # at most, of 20 ms
    width: int = 384
    heads: int = 6
    layers: int = 4
    inner: int = 1536  # between the two halves of a feed-forward layer

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], source: str = "The config of Whisper"
    ) -> WhisperDimensions:
        """Read a `config.json`; its keys about decoding and training are ignored."""
        for key, supported in (("model_type", "whisper"), ("activation_function", "gelu")):
            if config.get(key, supported) != supported:
                raise CheckpointError(
                    f"{source} sets {key} to {config[key]!r}, but lipstream supports only "
                    f"{supported!r}."
                )
        sizes = {name: config[key] for name, key in _KEYS.items() if key in config}
        for name, value in sizes.items():
            if type(value) is not int or not 0 < value <= MAX_SIZE:
                raise CheckpointError(
                    f"{source} sets {_KEYS[name]} to {value!r}; it must be a whole number from 1 "
                    f"to {MAX_SIZE}."
                )
        dimensions = cls(**sizes)
        if dimensions.width % dimensions.heads:
            raise CheckpointError(
                f"{source} sets d_model to {dimensions.width}, which must be a multiple of "
                f"encoder_attention_heads, {dimensions.heads}."
            )
        return dimensions


class _SelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, steps, width) -> the same"""
        query, key, value = (
            projected.reshape(*projected.shape[:2], self.heads, -1).transpose(1, 2)
            for projected in (self.q_proj(x), self.k_proj(x), self.v_proj(x))
        )  # (b, heads, steps, width / heads)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        return self.out_proj(mixed)


class _EncoderLayer(nn.Module):
    def __init__(self, dimensions: WhisperDimensions) -> None:
        super().__init__()
        width = dimensions.width
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = _SelfAttention(width, dimensions.heads)
        self.final_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, dimensions.inner)
        self.fc2 = nn.Linear(dimensions.inner, width)

    def forward(self, x: Tensor) -> Tensor:
        """(b, steps, width) -> the same"""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        x = x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))
        return x


class _EncoderStack(nn.Module):
    def __init__(self, dimensions: WhisperDimensions) -> None:
        super().__init__()
        width = dimensions.width
        self.conv1 = nn.Conv1d(dimensions.mel_bins, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(dimensions.steps, width)
        self.layers = nn.ModuleList([_EncoderLayer(dimensions) for _ in range(dimensions.layers)])
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, mel: Tensor, first: Tensor | None = None) -> list[Tensor]:
        """(b, mel_bins, 2 * steps) -> the embedding and each layer's result, (b, steps, width)."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        positions = torch.arange(x.shape[1], device=x.device)
        if first is not None:
            positions = first[:, None] + positions
        x = x + self.embed_positions(positions)
        states = [x]
        for layer in self.layers:
            states.append(layer(states[-1]))
        states[-1] = self.layer_norm(states[-1])  # as published: the last one only
        return states


class WhisperEncoder(nn.Module):
    """Log-mel columns -> the hidden states of every 20 ms."""

    def __init__(self, dimensions: WhisperDimensions) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.encoder = _EncoderStack(dimensions)

    def forward(self, mel: Tensor, first: Tensor | None = None) -> Tensor:
        """(b, mel_bins, 2 * steps) -> (b, steps, layers + 1, width), for its steps or fewer.

        `first` (b,) int64 are the positions of the first steps, 0 by default.
        """
        assert mel.shape[2] <= 2 * self.dimensions.steps, mel.shape
        return torch.stack(self.encoder(mel, first), dim=2)


class WhisperSpeech:
    """Whisper as a `SpeechNetwork`, on the device and in the precision of its encoder."""

    def __init__(self, encoder: WhisperEncoder) -> None:
        self.encoder = encoder.eval()
        self.layers, self.width = encoder.dimensions.layers + 1, encoder.dimensions.width
        self.piece = encoder.dimensions.steps * FEATURE_STEP

    def features(self, excerpts: Sequence[Excerpt], last: int | None = None) -> list[Floats]:
        """See `SpeechNetwork`. Excerpts that take equally many steps are computed together."""
        steps = [self._steps(excerpt) for excerpt in excerpts]
        found: dict[int, Floats] = {}
        for length in set(steps):
            places = [place for place, count in enumerate(steps) if count == length]
            for start in range(0, len(places), _BATCH):
                some = places[start : start + _BATCH]
                together = self._batch([excerpts[place] for place in some], length, last)
                found.update(zip(some, together, strict=True))
        return [found[place] for place in range(len(excerpts))]

    def _steps(self, excerpt: Excerpt) -> int:
        """The steps that an excerpt takes with its silence; no more than its piece has."""
        left = self.encoder.dimensions.steps - excerpt.step
        if excerpt.silence is None:
            return left
        return min(-(-len(excerpt.samples) // FEATURE_STEP) + excerpt.silence, left)

    @torch.inference_mode()
    def _batch(self, excerpts: Sequence[Excerpt], steps: int, last: int | None) -> list[Floats]:
        weight = self.encoder.encoder.conv1.weight
        samples = [excerpt.samples for excerpt in excerpts]
        longest = max(len(piece) for piece in samples)
        padded = np.zeros((len(samples), longest), np.float32)  # `log_mel` adds the rest
        for row, piece in zip(padded, samples, strict=True):
            row[: len(piece)] = piece
        sound = torch.from_numpy(padded).to(weight.device)
        mel = log_mel(sound, self.encoder.dimensions.mel_bins, steps * FEATURE_STEP)
        first = torch.tensor([excerpt.step for excerpt in excerpts], device=weight.device)
        states = self.encoder(mel.to(weight.dtype), first)
        spoken = [len(piece) // FEATURE_STEP for piece in samples]
        kept = [max(count - last, 0) if last else 0 for count in spoken]  # the first that is
        rows = [states[row, kept[row] : count] for row, count in enumerate(spoken)]
        return [np.asarray(row.cpu().float().numpy(), np.float32) for row in rows]


def log_mel(samples: Tensor, bins: int = 80, length: int = PIECE) -> Tensor:
    """(..., n) float32 at 16 kHz, padded to `length` -> (..., bins, length / 160), 10 ms each.

    A column's values depend on the loudest band of the whole piece.
    """
    assert samples.shape[-1] <= length, samples.shape
    padded = F.pad(samples.float(), (0, length - samples.shape[-1]))
    window = torch.hann_window(FFT, device=samples.device)
    waves = torch.stft(padded, FFT, HOP, window=window, return_complex=True)[..., :-1]
    power = waves.real.square() + waves.imag.square()  # (..., FFT / 2 + 1, columns)
    filters = torch.from_numpy(_filterbank(bins)).to(samples.device)
    bands = (filters @ power).clamp(min=1e-10).log10()
    loudest = bands.amax(dim=(-2, -1), keepdim=True)
    return (torch.maximum(bands, loudest - 8.0) + 4.0) / 4.0


@lru_cache(maxsize=4)
def _filterbank(bins: int) -> Floats:
    """Triangles on Slaney's mel scale, of equal area: (bins, FFT / 2 + 1)."""
    edges = _hertz(np.linspace(0.0, _mel(SAMPLE_RATE / 2), bins + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins_hz = np.linspace(0.0, SAMPLE_RATE / 2, FFT // 2 + 1)
    triangles = np.minimum((bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre))
    return np.asarray(np.maximum(triangles, 0.0) * 2.0 / (high - low), np.float32)


# Slaney's scale: straight up to 1000 Hz, 15 mel; above, 27 mel for each factor of 6.4.
_BEND, _BEND_MEL, _PER_MEL = 1000.0, 15.0, log(6.4) / 27.0


def _mel(hertz: float) -> float:
    """The mel of a frequency above the bend."""
    return _BEND_MEL + log(hertz / _BEND) / _PER_MEL


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    straight = mels * (_BEND / _BEND_MEL)
    return np.where(mels < _BEND_MEL, straight, _BEND * np.exp((mels - _BEND_MEL) * _PER_MEL))


def encoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's part of a published state dict, under the names of `WhisperEncoder`."""
    named = {key.removeprefix("model."): tensor for key, tensor in state.items()}
    return {key: tensor for key, tensor in named.items() if key.startswith("encoder.")}
