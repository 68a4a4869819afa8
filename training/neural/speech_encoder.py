"""Stage 1: a Whisper-shaped encoder learns to hear what the puppet's network hears.

Every layer is asked for the pose, not the last alone: the UNet attends to all of them. Pieces are
cut short at random, as live speech is, so that the end of what was heard is as good as its middle,
and excerpts, as a CPU hears live speech, are to give the states that the whole piece gives.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipstream.media.image import Floats
from lipstream.speech.articulation.network import PARAMETERS
from lipstream.speech.musetalk.audio_windows import CONTEXT, LIVE_STEP, SILENCE
from lipstream.speech.musetalk.backbone import PIECE
from lipstream.speech.musetalk.whisper import WhisperEncoder, log_mel
from lipstream.speech.musetalk.windowing import STEPS_AFTER, STEPS_BEFORE
from lipstream.timeline import FEATURE_STEP
from training.neural.configs import WHISPER, WIDTH, new_whisper
from training.neural.schedule import Trainer
from training.neural.speech_corpus import SpeechCorpus

RATE = 2e-3
HELD_EVERY = 20  # every so many'th piece is never trained on
SAVED_EVERY = 500  # steps
_WEIGHTS = torch.tensor([2.0, 1, 1, 1, 1, 0.5, 0.5])  # of the pose's parameters
_TOUCH = 0.3  # weight of the pose's change from step to step
_WHOLE = 0.6  # of all pieces are as long as can be
_EXCERPTS = 4  # of each piece, as live speech is heard
_FULL = 0.7  # of the excerpts are as long as they get; others come early in a stream
_ALIKE = 0.05  # weight of the states' distance between an excerpt and the whole
# Steps at an excerpt's end that a live segment's windows read.
_READ = STEPS_BEFORE + STEPS_AFTER + 2 * (LIVE_STEP - 1)
_POSITIONS = 0.3  # amplitude of the waves that tell a step's place
# Steps from the listener to the middle of what its four heads begin to look at, for each layer.
_LOOKS = ((-4, -1, 1, 4), (-8, -2, 2, 8), (-6, -1, 1, 6), (-10, -3, 3, 10))
_SHARPNESS = 1.5


class PoseHeads(nn.Module):
    """One reading of the pose from each layer's states."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        readers = [nn.Linear(WIDTH, len(PARAMETERS)) for _ in range(layers)]
        for reader in readers:
            nn.init.constant_(reader.bias, -2.0)  # a mouth at rest
        self.readers = nn.ModuleList(readers)

    def forward(self, states: Tensor) -> Tensor:
        """(b, steps, layers + 1, width) -> (layers, b, steps, 7); the embedding is not asked."""
        read = [reader(states[:, :, at + 1]) for at, reader in enumerate(self.readers)]
        return torch.sigmoid(torch.stack(read))


def train(speech: SpeechCorpus, folder: Path, seed: int, steps: int) -> None:
    """Write FOLDER/encoder.pt: the encoder's averaged state."""
    torch.manual_seed(seed)
    dice = np.random.default_rng(seed)
    network, heads = new_whisper(), PoseHeads(WHISPER["encoder_layers"])
    begin(network)
    trainer = Trainer(network, steps, RATE, heads=heads, log=folder / "encoder.jsonl")
    held = range(0, len(speech), HELD_EVERY)
    pieces = [index for index in range(len(speech)) if index not in held]
    while trainer.done < steps:
        seconds = 30.0 if dice.random() < _WHOLE else dice.uniform(1, 30)
        sound, poses = together(speech, pieces, seconds, dice)
        whole, known = _states(network, sound), torch.from_numpy(poses)
        loss = _loss(heads(whole), known)
        some = excerpts(len(poses), dice)
        live = _live_states(network, sound, some)
        cut = torch.stack([known[one.start : one.stop] for one in some])
        apart = _distance(live, whole, some)
        alone = loss + _loss(heads(live), cut)
        trainer.step(
            alone[-1] + 0.25 * alone[:-1].mean() + _ALIKE * apart,
            last=float(loss[-1].detach()),
            apart=float(apart.detach()),
        )
        if trainer.done % SAVED_EVERY == 0 or trainer.done == steps:
            torch.save(trainer.averaged(), folder / "encoder.pt")
            _judge(trainer, heads, speech, list(held), seed)


def begin(network: WhisperEncoder) -> None:
    """The published waves as positions, and heads that begin by looking at their neighbours.

    A wave turned by its own angle per step is the wave of another place: where the query turns and
    the key does not, their product is largest so many steps away.
    """
    stack: Any = network.encoder
    half = WIDTH // 2
    rates = torch.exp(torch.arange(half) * (-math.log(10_000) / (half - 1)))
    angles = torch.arange(network.dimensions.steps)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1) * _POSITIONS
    stack.embed_positions.weight = nn.Parameter(waves, requires_grad=False)
    part = WIDTH // WHISPER["encoder_attention_heads"] // 2  # waves that one head can hold
    used = torch.arange(1, part + 1)  # the fastest but one, which turns by 1 per step
    with torch.no_grad():
        for layer, offsets in zip(stack.layers, _LOOKS, strict=True):
            query, key = layer.self_attn.q_proj.weight, layer.self_attn.k_proj.weight
            query.mul_(0.3)
            key.mul_(0.3)
            for head, offset in enumerate(offsets):
                row = torch.arange(part) + head * 2 * part
                turn = rates[used] * offset
                query[row, used] += turn.cos() * _SHARPNESS
                query[row, used + half] += turn.sin() * _SHARPNESS
                query[row + part, used] -= turn.sin() * _SHARPNESS
                query[row + part, used + half] += turn.cos() * _SHARPNESS
                key[row, used] += _SHARPNESS
                key[row + part, used + half] += _SHARPNESS


def together(
    speech: SpeechCorpus, pieces: list[int], seconds: float, dice: np.random.Generator
) -> tuple[Floats, Floats]:
    """Pieces of the corpus end to end, louder or softer, and their poses, cut to `seconds`."""
    steps, sounds, poses = int(seconds * 50), list[Floats](), list[Floats]()
    while sum(map(len, poses)) < steps:
        index = pieces[int(dice.integers(len(pieces)))]
        sounds.append(speech.piece(index) * np.float32(np.exp(dice.normal(0, 0.4))))
        poses.append(speech.step_poses(index))
    sound = np.concatenate(sounds)[: steps * FEATURE_STEP]
    return sound, np.concatenate(poses)[:steps].astype(np.float32)


def _states(network: WhisperEncoder, sound: Floats) -> Tensor:
    """(1, steps, layers + 1, width) of a sound, padded to 30 s as the product does it."""
    mel = log_mel(torch.from_numpy(sound)[None], length=PIECE)
    states: Tensor = network(mel)
    return states[:, : len(sound) // FEATURE_STEP]


def excerpts(steps: int, dice: np.random.Generator) -> list[range]:
    """Some excerpts of a piece of so many steps, all equally long: as a CPU hears live speech."""
    longest = min(CONTEXT // FEATURE_STEP, steps)
    length = longest if dice.random() < _FULL else int(dice.integers(_READ, longest + 1))
    ends = dice.integers(length, steps + 1, _EXCERPTS)
    return [range(int(end) - length, int(end)) for end in ends]


def _live_states(network: WhisperEncoder, sound: Floats, some: list[range]) -> Tensor:
    """(excerpts, steps, layers + 1, width), each heard alone, at its place in the piece."""
    steps = len(some[0])
    parts = [sound[one.start * FEATURE_STEP : one.stop * FEATURE_STEP] for one in some]
    # The last of them may leave no room for the silence.
    room = network.dimensions.steps - max(one.stop for one in some)
    length = (steps + min(SILENCE, room)) * FEATURE_STEP
    mel = log_mel(torch.from_numpy(np.stack(parts)), length=length)
    states: Tensor = network(mel, torch.tensor([one.start for one in some]))
    return states[:, :steps]


def _distance(live: Tensor, whole: Tensor, some: list[range]) -> Tensor:
    """The mean over layers of how much of a state's variance an excerpt's end gives otherwise."""
    expected = torch.cat([whole[:, one.stop - _READ : one.stop] for one in some])
    spread = whole.detach().var(dim=1).mean(dim=-1)[0]  # (layers + 1,)
    away = ((live[:, -_READ:] - expected) ** 2).mean(dim=(0, 1, 3))
    return (away / spread).mean()


def _loss(read: Tensor, poses: Tensor) -> Tensor:
    """(layers, pieces, steps, 7), (steps, 7) or (pieces, steps, 7) -> (layers,)"""
    apart = (read - poses) ** 2
    touch = (read.diff(dim=2) - poses.diff(dim=-2)) ** 2
    return (apart * _WEIGHTS).mean(dim=(1, 2, 3)) + _TOUCH * (touch * _WEIGHTS).mean(dim=(1, 2, 3))


@torch.no_grad()
def _judge(
    trainer: Trainer, heads: PoseHeads, speech: SpeechCorpus, held: list[int], seed: int
) -> None:
    """Report the correlation with the teacher on pieces that were held out."""
    network, dice = new_whisper(), np.random.default_rng(seed + 1)
    network.load_state_dict(trainer.averaged())
    read, given = [], []
    for seconds in (30, 30, 30, 8, 3):
        sound, poses = together(speech, held, seconds, dice)
        read.append(heads(_states(network.eval(), sound))[-1, 0].numpy())
        given.append(poses)
    ours, theirs = np.concatenate(read), np.concatenate(given)
    for at, name in enumerate(PARAMETERS[:3]):
        trainer.report(**{f"held_r_{name}": float(np.corrcoef(ours[:, at], theirs[:, at])[0, 1])})
