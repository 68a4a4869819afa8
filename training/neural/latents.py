"""The corpus of stage 3: faces as latents, and their sound as the product's windows of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lipstream.media.image import Floats
from lipstream.speech.musetalk.audio_windows import CONTEXT, SILENCE
from lipstream.speech.musetalk.backbone import PIECE, Excerpt
from lipstream.speech.musetalk.whisper import WhisperSpeech
from lipstream.speech.musetalk.windowing import STEPS_AFTER, tokens, window_steps
from lipstream.timeline import FEATURE_STEP, FPS, SAMPLE_RATE
from training.neural.autoencoder import masked, read_vae, tensor
from training.neural.configs import new_whisper
from training.neural.faces import FaceCorpus
from training.neural.speech_corpus import SpeechCorpus

TOKENS = 50  # of a frame: ten steps of five layers
# Frames between two that are heard as live speech is, without what follows: by turns all that has
# come of the piece, as a GPU hears it, and the last seconds, as a CPU does.
LIVE_EVERY = 2
_LEAD = 20 * SAMPLE_RATE  # samples of other speech before a piece, at most


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
        with np.load(folder / "latents.npz") as seen, np.load(folder / "heard.npz") as heard:
            pictures = (torch.from_numpy(seen[name]) for name in ("references", "faces", "take"))
            return cls(*pictures, *(torch.from_numpy(heard[name]) for name in ("heard", "live")))


@torch.inference_mode()
def make_latents(faces: FaceCorpus, folder: Path) -> None:
    """Write FOLDER/latents.npz with the autoencoder of stage 2."""
    vae = read_vae(folder)

    def encoded(pictures: Tensor) -> Floats:
        latents = vae.encode(pictures.contiguous(memory_format=torch.channels_last))
        return np.asarray(latents.numpy() * np.float32(vae.dimensions.scaling), np.float32)

    whole = [tensor(faces.references[[at]]) for at in range(len(faces.references))]
    references = [np.concatenate([encoded(masked(one)), encoded(one)], axis=1) for one in whole]
    made = [encoded(tensor(faces.faces[[at]])) for at in range(len(faces.faces))]
    np.savez(
        folder / "latents.npz",
        references=np.concatenate(references),
        faces=np.concatenate(made),
        take=faces.take,
    )


def make_heard(faces: FaceCorpus, speech: SpeechCorpus, folder: Path, seed: int) -> None:
    """Write FOLDER/heard.npz with the encoder of stage 1.

    Every frame is heard in the whole piece, and some in what live speech has of it.
    """
    encoder, dice = new_whisper(), np.random.default_rng(seed)
    encoder.load_state_dict(torch.load(folder / "encoder.pt"))
    network = WhisperSpeech(encoder)
    heard = np.zeros((len(faces.take), TOKENS, network.width), np.float16)
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
                live[row] = _live_tokens(network, sound, frame, short=row % (2 * LIVE_EVERY) == 0)
    np.savez(folder / "heard.npz", heard=heard, live=live)


def _live_tokens(network: WhisperSpeech, sound: Floats, frame: int, *, short: bool) -> Floats:
    """(50, width) of a frame that nothing is known of after its window."""
    end = (2 * frame + STEPS_AFTER) * FEATURE_STEP
    start = max(0, end - CONTEXT) if short else 0
    heard = Excerpt(sound[start:end], start // FEATURE_STEP, SILENCE if short else None)
    features = network.features([heard])[0]
    steps = window_steps(range(frame, frame + 1), Fraction(FPS)) - start // FEATURE_STEP
    found: Floats = tokens(features, steps)[0]
    return found


def _led(speech: SpeechCorpus, piece: int, dice: np.random.Generator) -> tuple[Floats, int]:
    """A piece after other speech, 30 s at most, and the frames before it."""
    sound, frame = speech.piece(piece)[:PIECE], 2 * FEATURE_STEP
    room = min(int(dice.integers(_LEAD)), PIECE - len(sound)) // frame * frame
    other = speech.piece(int(dice.integers(len(speech))))
    lead = np.resize(other, room).astype(np.float32)
    return np.concatenate([lead, sound]), room // frame
