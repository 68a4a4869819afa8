"""Train the articulation network on the shards of `training.corpus`.

    python -m training.train FOLDER OUT.npz --minutes 60

Squared error per parameter, more where lips meet or tuck; the same of the velocity; the same of the
lip gap that the pose makes; cross entropy of the presence of speech. The learning rate falls as a
cosine over the given time. What is saved is a running mean of the weights, as float16.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipstream.speech.articulation.lip_gap import (
    ROUND_NARROWS,
    SHUT_BEGIN,
    SHUT_SLOPE,
    TUCK_FILLS,
)
from lipstream.speech.articulation.network import CLOSE, JAW, ROUND, TUCK, ArticulationDimensions

_STEPS = 180  # steps of an example: 3.6 s
_BATCH = 48
_RATE = 2e-3
_MEMORY = 0.998  # of the running mean, per update
_SETTLE = 10  # steps at the start of an example that do not count
_WEIGHTS = (2.0, 1.4, 0.8, 1.5, 1.2, 0.5, 0.9)  # jaw, round, wide, close, tuck, teeth, tongue
_RARE = {CLOSE: 5.0, TUCK: 4.0}  # more weight where the target is 1
_VELOCITY, _GAP, _PRESENCE = 2.0, 3.0, 0.03
# The corpus has few seconds per language of espeak-ng, and Korean and Chinese only there.
_EMPHASIS = {"espeak ko": 4.0, "espeak cmn": 4.0, "espeak": 1.6}
# Forced alignments of real speech, which judge us, put phones some 7 ms before the labels of
# recorded voices, and those of espeak-ng come some 8 ms after them (medians over 350 phones of each
# of 12 voices). The targets of recorded voices are read this share of a step earlier: 8 ms.
_LEAD = 0.4


class Network(nn.Module):
    """The network of `lipstream.speech.articulation.network`, in a form that can learn."""

    def __init__(self, dimensions: ArticulationDimensions) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.enter = nn.Linear(dimensions.features, dimensions.inner)
        self.recurrent = nn.GRU(dimensions.inner, dimensions.hidden, 2, batch_first=True)
        self.leave = nn.Linear(dimensions.hidden, dimensions.outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, steps, 82) -> (batch, steps, 8) before the sigmoid."""
        hidden, _ = self.recurrent(torch.relu(self.enter(features)))
        answer: Tensor = self.leave(hidden)
        return answer


def arrays(network: Network, state: dict[str, Tensor]) -> dict[str, NDArray[np.float16]]:
    """The weights under the names of `articulation.Weights`."""
    names = {
        "enter": "enter.weight",
        "enter_bias": "enter.bias",
        "leave": "leave.weight",
        "leave_bias": "leave.bias",
    }
    for layer, name in enumerate(("lower", "upper")):
        for ours, theirs in (("input", "ih"), ("state", "hh")):
            names[f"{name}_{ours}"] = f"recurrent.weight_{theirs}_l{layer}"
            names[f"{name}_{ours}_bias"] = f"recurrent.bias_{theirs}_l{layer}"
    found = {ours: state[theirs].numpy().astype(np.float16) for ours, theirs in names.items()}
    return found | {"look_ahead": np.array(network.dimensions.look_ahead, np.float16)}


@dataclass(frozen=True, slots=True)
class Examples:
    """All items of a folder: float16 (steps, 82) and (steps, 8), and where each item begins."""

    features: NDArray[np.float16]
    targets: NDArray[np.float16]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    chances: NDArray[np.float64]  # cumulative, per item

    @classmethod
    def read(cls, folder: Path, without: tuple[str, ...] = ()) -> Examples:
        """The `train-*` shards, leaving out voices whose name begins with one of `without`."""
        features, targets, lengths, voices = [], [], [], []
        for path in sorted(folder.glob("train-*.npz")):
            with np.load(path) as shard:
                kept = np.array([not str(v).startswith(without) for v in shard["voices"]])
                rows = np.repeat(kept, shard["lengths"])
                features.append(shard["features"][rows])
                goals = _advanced(shard["targets"], shard["lengths"], shard["voices"])
                targets.append(goals[rows])
                lengths.append(shard["lengths"][kept])
                voices.append(shard["voices"][kept])
        every = np.concatenate(lengths)
        starts = np.concatenate(([0], np.cumsum(every)[:-1]))
        weights = every * np.array([_emphasis(str(v)) for v in np.concatenate(voices)])
        chances = np.cumsum(weights / weights.sum())
        return cls(np.concatenate(features), np.concatenate(targets), starts, every, chances)

    def draw(self, chance: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A batch of random stretches: (batch, steps, 82) and (batch, steps, 8)."""
        features = np.zeros((_BATCH, _STEPS, self.features.shape[1]), np.float32)
        targets = np.zeros((_BATCH, _STEPS, self.targets.shape[1]), np.float32)
        items = np.searchsorted(self.chances, chance.random(_BATCH) * self.chances[-1])
        for row, item in enumerate(items):
            start, length = self.starts[item], int(self.lengths[item])
            first = start + chance.integers(max(1, length - _STEPS + 1))
            count = min(length, _STEPS)
            features[row, :count] = self.features[first : first + count]
            features[row, count:] = features[row, count - 1]  # the end of an item is silence
            targets[row, :count] = self.targets[first : first + count]
        features += chance.normal(0, 0.08, (_BATCH, 1, 1)).astype(np.float32)
        return torch.from_numpy(features), torch.from_numpy(targets)


def _advanced(
    targets: NDArray[np.float16], lengths: NDArray[np.int64], voices: NDArray[np.str_]
) -> NDArray[np.float16]:
    """Targets of recorded voices, a little earlier."""
    espeak = np.repeat(np.char.startswith(voices, "espeak"), lengths)
    last = np.zeros(len(targets), bool)
    last[np.cumsum(lengths) - 1] = True
    share = np.where(espeak | last, 0.0, _LEAD)[:, None].astype(np.float32)
    following = np.roll(targets, -1, axis=0)
    return (targets * (1 - share) + following * share).astype(np.float16)


def _emphasis(voice: str) -> float:
    """The weight with which a second of this voice is drawn."""
    return next((weight for name, weight in _EMPHASIS.items() if voice.startswith(name)), 1.0)


def gap(mouth: Tensor) -> Tensor:
    """`lip_gap` in a form that can learn: (..., 7) -> (...)."""
    left = (1 - ROUND_NARROWS * mouth[..., ROUND]) * (1 - TUCK_FILLS * mouth[..., TUCK])
    shut = torch.clamp(mouth[..., CLOSE] * SHUT_SLOPE + SHUT_BEGIN, 0, 1)
    return mouth[..., JAW] * left * (1 - shut)


def loss(answer: Tensor, target: Tensor) -> Tensor:
    """The loss of `answer` (before the sigmoid) is; both (batch, steps, 8) and in step."""
    mouth, goal = torch.sigmoid(answer[..., :7]), target[..., :7]
    weights = torch.tensor(_WEIGHTS)
    importance = torch.ones_like(goal)
    for parameter, extra in _RARE.items():
        importance[..., parameter] += extra * goal[..., parameter]
    place = ((mouth - goal) ** 2 * weights * importance)[:, _SETTLE:].mean()
    velocity = ((mouth.diff(dim=1) - goal.diff(dim=1)) ** 2 * weights)[:, _SETTLE:].mean()
    opening, expected = gap(mouth), gap(goal)
    lips = ((opening - expected) ** 2)[:, _SETTLE:].mean()
    lips = (
        lips + _VELOCITY * ((opening.diff(dim=1) - expected.diff(dim=1)) ** 2)[:, _SETTLE:].mean()
    )
    presence = nn.functional.binary_cross_entropy_with_logits(
        answer[:, _SETTLE:, 7], target[:, _SETTLE:, 7]
    )
    return place + _VELOCITY * velocity + _GAP / 7 * lips + _PRESENCE * presence


def train(
    examples: Examples,
    out: Path,
    dimensions: ArticulationDimensions,
    *,
    minutes: float,
    updates: int | None = None,
    seed: int = 0,
) -> None:
    """Learn for `minutes`, or for so many `updates`; write `out` now and then and at the end."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    network = Network(dimensions)
    mean = {name: value.detach().clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=1e-4)
    ahead = dimensions.look_ahead
    begun = saved = time.monotonic()
    running, done, past = 0.0, 0, 0.0
    while past < 1.0:
        spent = (time.monotonic() - begun) / 60
        past = done / updates if updates else spent / minutes
        share = min(1.0, past * 30 + 0.01) * max(0.01, 0.5 + 0.5 * np.cos(np.pi * min(past, 1.0)))
        for group in optimiser.param_groups:
            group["lr"] = _RATE * share
        features, targets = examples.draw(chance)
        error = loss(network(features)[:, ahead:], targets[:, :-ahead])
        optimiser.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        done += 1
        memory = min(_MEMORY, done / (done + 10))
        for name, value in network.state_dict().items():
            mean[name].lerp_(value, 1 - memory)
        running += (error.item() - running) * max(0.01, 1 / done)
        if done % 200 == 0:
            print(f"{done} updates, {spent:.1f} min, loss {running:.5f}", flush=True)
        if time.monotonic() - saved > 300 or past >= 1.0:
            saved = time.monotonic()
            np.savez_compressed(out, allow_pickle=False, **arrays(network, mean))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--updates", type=int, help="stop after so many instead")
    parser.add_argument("--look-ahead", type=int, default=4)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--without", nargs="*", default=[], help="voices to leave out, by prefix")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    corpus = Examples.read(options.folder, tuple(options.without))
    print(f"{len(corpus.features) / 50 / 3600:.1f} h in {len(corpus.lengths)} items", flush=True)
    sizes = ArticulationDimensions(look_ahead=options.look_ahead, hidden=options.hidden)
    train(
        corpus,
        options.out,
        sizes,
        minutes=options.minutes,
        updates=options.updates,
        seed=options.seed,
    )
