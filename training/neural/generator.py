"""Stage 3: the UNet, from latents and speech features to the latents of a face that says it.

The loss weighs the mouth most: the rest is there to be copied, and would teach the network to do
nothing else. What attends to the speech learns at twice the rate, for the same reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipstream.media.image import Floats
from lipstream.rendering.musetalk.models.unet import add_positions
from lipstream.speech.musetalk.backbone import PIECE, Excerpt
from lipstream.speech.musetalk.whisper import WhisperSpeech
from lipstream.speech.musetalk.windowing import STEPS_AFTER, tokens, window_steps
from lipstream.timeline import FEATURE_STEP, FPS
from training.neural.autoencoder import HELD_TAKES, masked, read_vae, tensor
from training.neural.configs import new_unet, new_whisper
from training.neural.faces import FaceCorpus
from training.neural.schedule import Trainer
from training.neural.speech_corpus import SpeechCorpus

RATE = 1.5e-3
SAVED_EVERY = 500  # steps
TAKES, FRAMES = 2, 4  # of a batch: frames of one take differ by what is said alone
LIVE_EVERY = 2  # frames between two that are heard as live speech is, without what follows
# Weights of an error in a face's latents, 32 x 32: above, in the lower half, around the mouth.
_ABOVE, _BELOW, _MOUTH = 0.05, 0.3, 3.0
_LISTENING = ("attn2", "proj_in", "proj_out")
_LEAD = 20 * 16_000  # samples of other speech before a piece, at most


@dataclass(frozen=True, slots=True, eq=False)
class LatentCorpus:
    """What the UNet is given and what it should make; latents are scaled."""

    references: Tensor  # (takes, 8, 32, 32): masked, whole
    faces: Tensor  # (frames, 4, 32, 32)
    take: Tensor  # (frames,)
    heard: Tensor  # (frames, 50, width)
    live: Tensor  # (frames, 50, width): the same where it was not heard again

    @classmethod
    def load(cls, folder: Path) -> LatentCorpus:
        with np.load(folder / "latents.npz") as file:
            names = ("references", "faces", "take", "heard", "live")
            return cls(*(torch.from_numpy(file[name]) for name in names))


@torch.inference_mode()
def make_latents(faces: FaceCorpus, speech: SpeechCorpus, folder: Path, seed: int) -> None:
    """Write FOLDER/latents.npz with the networks of the first two stages."""
    vae = read_vae(folder)

    def encoded(pictures: Tensor) -> Floats:
        latents = vae.encode(pictures.contiguous(memory_format=torch.channels_last))
        return np.asarray(latents.numpy() * np.float32(vae.dimensions.scaling), np.float32)

    whole = [tensor(faces.references[[at]]) for at in range(len(faces.references))]
    references = [np.concatenate([encoded(masked(one)), encoded(one)], axis=1) for one in whole]
    made = [encoded(tensor(faces.faces[[at]])) for at in range(len(faces.faces))]
    heard, live = _heard(faces, speech, folder, seed)
    np.savez(
        folder / "latents.npz",
        references=np.concatenate(references),
        faces=np.concatenate(made),
        take=faces.take,
        heard=heard.astype(np.float16),
        live=live.astype(np.float16),
    )


def train(folder: Path, seed: int, steps: int) -> None:
    """Write FOLDER/unet.pt: the averaged state."""
    torch.manual_seed(seed)
    dice, corpus = np.random.default_rng(seed), LatentCorpus.load(folder)
    network = new_unet()
    trainer = Trainer(network, steps, RATE, faster=_LISTENING, log=folder / "unet.jsonl")
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


def mouth_weight() -> Tensor:
    """(1, 1, 32, 32)"""
    weight = torch.full((1, 1, 32, 32), _ABOVE)
    weight[..., 16:, :] = _BELOW
    weight[..., 17:31, 7:25] = _MOUTH
    return weight


def _given(corpus: LatentCorpus, rows: Tensor, live: bool) -> tuple[Tensor, Tensor]:
    """What the product gives the UNet for some frames: latents, and speech with positions."""
    heard = (corpus.live if live else corpus.heard)[rows].float()
    return corpus.references[corpus.take[rows]], add_positions(heard)


def _heard(
    faces: FaceCorpus, speech: SpeechCorpus, folder: Path, seed: int
) -> tuple[Floats, Floats]:
    """(frames, 50, width) twice: from the whole piece, and from what live speech has of it."""
    encoder, dice = new_whisper(), np.random.default_rng(seed)
    encoder.load_state_dict(torch.load(folder / "encoder.pt"))
    network = WhisperSpeech(encoder)
    heard = np.zeros((len(faces.take), 50, network.width), np.float32)
    live = np.zeros_like(heard)
    for piece in np.unique(faces.piece):
        rows = np.flatnonzero(faces.piece == piece)
        sound, before = _led(speech, int(piece), dice)
        features = network.features([Excerpt(sound)])[0]
        for row in rows:
            frame = int(faces.frame[row]) + before
            steps = window_steps(range(frame, frame + 1), Fraction(FPS))
            heard[row] = live[row] = tokens(features, steps)[0]
            if row % LIVE_EVERY == 0:
                end = (2 * frame + STEPS_AFTER) * FEATURE_STEP
                live[row] = tokens(network.features([Excerpt(sound[:end])])[0], steps)[0]
    return heard, live


def _led(speech: SpeechCorpus, piece: int, dice: np.random.Generator) -> tuple[Floats, int]:
    """A piece after other speech, 30 s at most, and the frames before it."""
    sound, frame = speech.piece(piece)[:PIECE], 2 * FEATURE_STEP
    room = min(int(dice.integers(_LEAD)), PIECE - len(sound)) // frame * frame
    other = speech.piece(int(dice.integers(len(speech))))
    lead = np.resize(other, room).astype(np.float32)
    return np.concatenate([lead, sound]), room // frame


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
