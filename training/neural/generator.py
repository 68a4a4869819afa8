"""Stage 3: the UNet, from latents and speech features to the latents of a face that says it.

The network begins as a copy of the reference, so what is left to learn is the change that speech
makes; the loss weighs the mouth most. What attends to the speech learns at twice the rate: it
begins with nothing to say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipstream.rendering.musetalk.models.unet import UNet, add_positions
from training.neural.autoencoder import HELD_TAKES
from training.neural.configs import new_unet
from training.neural.latents import LatentCorpus
from training.neural.schedule import Trainer

RATE = 1.5e-3
SAVED_EVERY = 500  # steps
TAKES, FRAMES = 2, 4  # of a batch: frames of one take differ by what is said alone
# Weights of an error in a face's latents, 32 x 32: above, in the lower half, around the mouth.
_ABOVE, _BELOW, _MOUTH = 0.05, 0.3, 3.0
_FACTORS = {"attn2": 2.0, "proj_in": 2.0, "proj_out": 2.0, "conv_in.": 0.05, "conv_out.": 0.05}
_CONSTANT = 3.0  # of channels beside the copy; see `autoencoder.begin`
_OTHERS = 0.2  # of the usual size: what is added to the copy at first


def train(folder: Path, seed: int, steps: int) -> None:
    """Write FOLDER/unet.pt: the averaged state."""
    torch.manual_seed(seed)
    dice, corpus = np.random.default_rng(seed), LatentCorpus.load(folder)
    network = new_unet()
    begin(network)
    trainer = Trainer(network, steps, RATE, factors=_FACTORS, log=folder / "unet.jsonl")
    weight = mouth_weight()
    span = [torch.nonzero(corpus.take == take)[:, 0] for take in range(len(corpus.references))]
    while trainer.done < steps:
        takes = dice.choice(len(span) - HELD_TAKES, TAKES, replace=False)
        rows = torch.cat([span[take][dice.choice(len(span[take]), FRAMES)] for take in takes])
        made = network(*_given(corpus, rows, live=dice.random() < 0.5))
        trainer.step(((made - corpus.faces[rows]).abs() * weight).mean())
        if trainer.done % SAVED_EVERY == 0 or trainer.done == steps:
            torch.save(trainer.averaged(), folder / "unet.pt")
            _judge(trainer, corpus, torch.cat(span[-HELD_TAKES:]))


@torch.no_grad()
def begin(network: UNet) -> None:
    """Make the network a copy of the whole latents it is given.

    They pass from the first layer to the last block by the outermost short cut. Each latent has a
    group of the last norm for itself, its other sign, and two constants: see `autoencoder.begin`.
    """
    whole: Any = network
    dimensions = network.dimensions
    width, latents = dimensions.widths[0], dimensions.out_channels
    size = width // dimensions.block.groups
    first = torch.arange(latents) * size
    enter, leave, last = whole.conv_in, whole.conv_out, whole.up_blocks[-1].resnets[-1]
    passed = torch.cat([first + at for at in range(4)])
    for layer in (enter, last.conv_shortcut, leave, last.conv2):
        layer.weight.mul_(_OTHERS)
        layer.bias.mul_(_OTHERS)
    for layer in (enter, last.conv_shortcut):
        layer.weight[passed] = 0
        layer.bias[passed] = 0
    for at in range(latents):
        enter.weight[first[at], latents + at, 1, 1] = 1
        enter.weight[first[at] + 1, latents + at, 1, 1] = -1
        # The norm divides by this: two constants and two latents of about unit variance.
        spread = ((2 * _CONSTANT**2 + 2) / size) ** 0.5
        leave.weight[at] = 0
        leave.weight[at, first[at], 1, 1] = spread
        leave.weight[at, first[at] + 1, 1, 1] = -spread
    enter.bias[first + 2], enter.bias[first + 3] = _CONSTANT, -_CONSTANT
    last.conv_shortcut.weight[passed, width + passed] = 1  # after the block's own channels


def mouth_weight() -> Tensor:
    """(1, 1, 32, 32) the weights of an error by its place in a face."""
    weight = torch.full((1, 1, 32, 32), _ABOVE)
    weight[..., 16:, :] = _BELOW
    weight[..., 17:31, 7:25] = _MOUTH
    return weight


def _given(corpus: LatentCorpus, rows: Tensor, live: bool) -> tuple[Tensor, Tensor]:
    """The UNet's input for some frames, as the product has it: latents, speech with positions."""
    heard = (corpus.live if live else corpus.heard)[rows].float()
    return corpus.references[corpus.take[rows]], add_positions(heard)


@torch.inference_mode()
def _judge(trainer: Trainer, corpus: LatentCorpus, held: Tensor) -> None:
    """Report on takes that were held out: the share of the mouth's change that is explained."""
    network = new_unet()
    network.load_state_dict(trainer.averaged())
    rows = held[:: max(1, len(held) // 96)]
    mixed = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    latents, audio = _given(corpus, rows, live=False)
    given, still = corpus.faces[rows], latents[:, 4:]
    mouth = np.s_[:, :, 17:31, 7:25]
    change = ((given - still)[mouth] ** 2).sum()

    def explained(heard: Tensor) -> float:
        return float(1 - ((network.eval()(latents, heard) - given)[mouth] ** 2).sum() / change)

    other = _given(corpus, mixed, live=False)[1]
    live = _given(corpus, rows, live=True)[1]
    trainer.report(
        explained=explained(audio), live_explained=explained(live), shuffled=explained(other)
    )
