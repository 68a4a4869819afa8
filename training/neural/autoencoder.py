"""Stage 2: the autoencoder, on whole faces.

Light and shade are nearly all of a face, and a network that begins at random learns them alone, in
sepia. So this one begins as a thumbnail, red, green and blue of every eight by eight pixels, and
learns what that lacks. It learns on whole pictures, as its norms look at all of a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lipstream.media.image import Image
from lipstream.rendering.musetalk.models.layers import ResnetBlock
from lipstream.rendering.musetalk.models.vae import SpatialAttention, Vae, to_pictures
from training.neural.configs import VAE, new_vae
from training.neural.faces import SIDE, FaceCorpus
from training.neural.schedule import Trainer

RATE = 1.5e-3
SAVED_EVERY = 250  # steps
HELD_TAKES = 12  # the last of the corpus are never trained on
MOUTH = (slice(136, 250), slice(56, 200))  # rows and columns of a face that hold most mouths
_IN_MOUTH = 3.0  # weight of an error there
_EDGES, _COLOURS, _SPREAD = 0.75, 2.0, 1e-6  # weights of the loss's other parts
_COARSE = 16  # pixels over which colours are compared
_SHARP_EDGES = 2.0  # instead, for a decoder that learns on
# Channels that begin as colours, as the same with the other sign, and as a constant of each sign.
_COLOUR, _NEGATIVE, _PLUS, _MINUS = (0, 1, 2), (6, 7, 8), (3, 9), (4, 10)
_PASSED = (*_COLOUR, *_NEGATIVE, *_PLUS, *_MINUS)
_CONSTANT = 3.0
_SMOOTH = {
    (row, column): (2 - abs(row - 1)) * (2 - abs(column - 1)) / 16
    for row in range(3)
    for column in range(3)
}
# Layers that pass the thumbnail on learn slowly: constants amplify each of their steps, and it
# would be lost before anything else is learnt.
_FACTORS = {"samplers": 0.05, "conv_shortcut": 0.05, "conv_in": 0.2, "conv_out": 0.2, "quant": 0.2}
_OTHERS = 0.2  # of the usual size: channels that begin at random
_QUIET = -6.0  # logarithm of the variance of new latents
_MASKED_EVERY = 5  # steps between pictures whose lower half is black


def train(faces: FaceCorpus, folder: Path, seed: int, steps: int, known: Vae | None = None) -> None:
    """Write FOLDER/vae.pt: the averaged state and the scaling of its latents.

    Of a `known` autoencoder the decoder alone learns on, and edges count more: its latents stay.
    """
    torch.manual_seed(seed)
    dice = np.random.default_rng(seed)
    network, edges = known or new_vae(), _EDGES if known is None else _SHARP_EDGES
    if known is None:
        begin(network)
    network.requires_grad_(True)
    for part in () if known is None else (known.encoder, known.quant_conv):
        part.requires_grad_(False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    log = folder / ("vae.jsonl" if known is None else "decoder.jsonl")
    rate = RATE if known is None else RATE / 2
    trainer = Trainer(network, steps, rate, factors=_FACTORS, log=log)
    last = int(np.flatnonzero(faces.take < len(faces.references) - HELD_TAKES)[-1])
    while trainer.done < steps:
        picture = _relit(tensor(faces.faces[[dice.integers(last + 1)]]), dice)
        if known is None and trainer.done % _MASKED_EVERY == _MASKED_EVERY - 1:
            picture[:, :, SIDE // 2 :] = -1
        picture = picture.contiguous(memory_format=torch.channels_last)
        mean, spread = network.posterior(picture)
        made = network.decode(mean + spread * torch.randn_like(spread))
        apart = (made - picture).abs()
        kl = 0.5 * (mean**2 + spread**2 - 1 - 2 * spread.log()).mean()
        loss = (
            apart.mean()
            + (_IN_MOUTH - 1) * apart[:, :, MOUTH[0], MOUTH[1]].mean() / _IN_MOUTH
            + edges * _edges(made, picture)
            + _COLOURS * F.avg_pool2d(made - picture, _COARSE).abs().mean()
            + _SPREAD * kl
        )
        trainer.step(loss, l1=float(apart.detach().mean()), kl=float(kl.detach()))
        if trainer.done % SAVED_EVERY == 0 or trainer.done == steps:
            _save(trainer, faces, folder)


@torch.no_grad()
def begin(network: Vae) -> None:
    """Make the network a thumbnail that is enlarged again.

    Every block adds nothing to what passes by. Half of the channels of a norm's group are constants
    of both signs, so that the group's mean is 0 and its variance is theirs: the norm only scales.
    Its activation is undone by the channels of the other sign: silu(x) - silu(-x) = x.
    """
    whole: Any = network
    for block in (whole.encoder.down_blocks, whole.decoder.up_blocks):
        for level in block:
            for at in level.downsamplers:
                _pass(at.conv, {(row, column): 0.25 for row in (0, 1) for column in (0, 1)})
            for at in level.upsamplers:
                _pass(at.conv, _SMOOTH)
    for part in network.modules():
        if isinstance(part, ResnetBlock):
            _silence(part.conv2)
            if part.conv_shortcut is not None:
                _pass(part.conv_shortcut, {(0, 0): 1.0})
        elif isinstance(part, SpatialAttention):
            _silence(part.to_out[0])
    for enter in (whole.encoder.conv_in, whole.decoder.conv_in):
        enter.weight.mul_(_OTHERS)
        enter.weight[list(_PASSED)] = 0
        for colour in range(3):
            enter.weight[_COLOUR[colour], colour, 1, 1] = 1
            enter.weight[_NEGATIVE[colour], colour, 1, 1] = -1
        enter.bias[list(_PASSED)] = 0
        enter.bias[list(_PLUS)], enter.bias[list(_MINUS)] = _CONSTANT, -_CONSTANT
    for leave in (whole.encoder.conv_out, whole.decoder.conv_out):
        group = leave.in_channels // VAE["norm_num_groups"]
        constants = sum(channel < group for channel in (*_PLUS, *_MINUS))
        spread = _CONSTANT * (constants / group) ** 0.5
        leave.weight[:3] = 0
        leave.bias[:] = 0
        for colour in range(3):
            leave.weight[colour, _COLOUR[colour], 1, 1] = spread
            leave.weight[colour, _NEGATIVE[colour], 1, 1] = -spread
    whole.encoder.conv_out.bias[4:] = _QUIET
    for mix in (whole.quant_conv, whole.post_quant_conv):
        mix.weight[:, :, 0, 0] = torch.eye(len(mix.weight))
        mix.bias[:] = 0


def _silence(layer: Any) -> None:
    layer.weight[:] = 0
    layer.bias[:] = 0


def _pass(layer: nn.Conv2d, taps: Mapping[tuple[int, int], float]) -> None:
    """Have the chosen channels come out as they are, weighed by `taps` (row, column) alone."""
    rows = list(_PASSED)
    layer.weight.mul_(_OTHERS)
    layer.weight[rows] = 0
    if layer.bias is not None:
        layer.bias[rows] = 0
    for (row, column), weight in taps.items():
        layer.weight[rows, rows, row, column] = weight


def tensor(pictures: Image) -> Tensor:
    """(b, h, w, 3) uint8 -> (b, 3, h, w) in -1..1, as the product gives them to the network."""
    given = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    return given / 127.5 - 1


def masked(pictures: Tensor) -> Tensor:
    """A copy without the lower half."""
    upper = pictures.clone()
    upper[:, :, SIDE // 2 :] = -1
    return upper


def read_vae(folder: Path) -> Vae:
    """The trained autoencoder of FOLDER/vae.pt, with the scaling that its latents need."""
    stored = torch.load(folder / "vae.pt")
    network = new_vae(stored["scaling"])
    network.load_state_dict(stored["state"])
    return network.eval().requires_grad_(False)


def _relit(pictures: Tensor, dice: np.random.Generator) -> Tensor:
    """In another light, and every other time mirrored."""
    gain = torch.from_numpy(np.exp(dice.normal(0, 0.12) + dice.normal(0, 0.06, 3))).float()
    lit = ((pictures + 1) * gain[:, None, None] - 1).clamp(-1, 1)
    return lit.flip(3) if dice.random() < 0.5 else lit


def _edges(made: Tensor, given: Tensor) -> Tensor:
    """Difference of what changes from pixel to pixel."""
    across = (made.diff(dim=3) - given.diff(dim=3)).abs().mean()
    return across + (made.diff(dim=2) - given.diff(dim=2)).abs().mean()


@torch.no_grad()
def _save(trainer: Trainer, faces: FaceCorpus, folder: Path) -> None:
    """Write state and sheet; report quality on the takes that were held out."""
    network = new_vae()
    network.load_state_dict(trainer.averaged())
    first = int(np.searchsorted(faces.take, len(faces.references) - HELD_TAKES))
    held = np.asarray(faces.faces[first :: max(1, (len(faces.faces) - first) // 24)])
    latents = torch.cat([network.eval().encode(tensor(held[[at]])) for at in range(len(held))])
    made = torch.cat([network.decode(latent[None]) for latent in latents])
    pictures = to_pictures(made).numpy()
    apart = pictures.astype(np.float32) - held
    mouth = apart[:, MOUTH[0], MOUTH[1]]
    trainer.report(
        psnr=float(10 * np.log10(255**2 / np.mean(apart**2))),
        mouth_psnr=float(10 * np.log10(255**2 / np.mean(mouth**2))),
        colour=float(np.abs(mouth.mean(axis=(1, 2))).mean()),
        worst_colour=float(np.abs(mouth.mean(axis=(1, 2))).max()),
        spread=float(latents.std()),
    )
    state = {"state": trainer.averaged(), "scaling": float(1 / latents.std())}
    torch.save(state, folder / "vae.pt")
    rows = [np.concatenate(list(part[:8]), axis=1) for part in (held, pictures)]
    cv2.imwrite(str(folder / "vae.png"), np.concatenate(rows)[..., ::-1])
