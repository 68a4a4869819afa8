"""Stage 2: the autoencoder, on whole faces.

Its norms look at the whole picture, so it learns on whole pictures, in any light: pieces of them
have other means, and colours learnt there are not those of a face.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lipstream.media.image import Image
from lipstream.rendering.musetalk.models.vae import Vae, to_pictures
from training.neural.configs import new_vae
from training.neural.faces import SIDE, FaceCorpus
from training.neural.schedule import Trainer

RATE = 2.5e-3
SAVED_EVERY = 250  # steps
HELD_TAKES = 12  # the last of the corpus are never trained on
MOUTH = (slice(136, 250), slice(56, 200))  # rows and columns of a face that hold most mouths
_IN_MOUTH = 3.0  # weight of an error there
_EDGES, _COLOURS, _SPREAD = 0.5, 2.0, 1e-6  # weights of the loss's other parts
_COARSE = 16  # pixels over which colours are compared
_MASKED_EVERY = 5  # steps between pictures whose lower half is black


def train(faces: FaceCorpus, folder: Path, seed: int, steps: int) -> None:
    """Write FOLDER/vae.pt: the averaged state and the scaling of its latents."""
    torch.manual_seed(seed)
    dice = np.random.default_rng(seed)
    network = new_vae()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trainer = Trainer(network, steps, RATE, log=folder / "vae.jsonl")
    last = int(np.flatnonzero(faces.take < len(faces.references) - HELD_TAKES)[-1])
    while trainer.done < steps:
        picture = _relit(tensor(faces.faces[[dice.integers(last + 1)]]), dice)
        if trainer.done % _MASKED_EVERY == _MASKED_EVERY - 1:
            picture[:, :, SIDE // 2 :] = -1
        picture = picture.contiguous(memory_format=torch.channels_last)
        mean, spread = network.posterior(picture)
        made = network.decode(mean + spread * torch.randn_like(spread))
        apart = (made - picture).abs()
        kl = 0.5 * (mean**2 + spread**2 - 1 - 2 * spread.log()).mean()
        loss = (
            apart.mean()
            + (_IN_MOUTH - 1) * apart[:, :, MOUTH[0], MOUTH[1]].mean() / _IN_MOUTH
            + _EDGES * _edges(made, picture)
            + _COLOURS * F.avg_pool2d(made - picture, _COARSE).abs().mean()
            + _SPREAD * kl
        )
        trainer.step(loss, l1=float(apart.detach().mean()), kl=float(kl.detach()))
        if trainer.done % SAVED_EVERY == 0 or trainer.done == steps:
            _save(trainer, faces, folder)


def tensor(pictures: Image) -> Tensor:
    """(b, h, w, 3) uint8 -> (b, 3, h, w) in -1..1, as the product gives them to the network."""
    given = torch.from_numpy(np.asarray(pictures)).permute(0, 3, 1, 2).float()
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
