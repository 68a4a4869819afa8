"""Teach a small MuseTalk: python -m training.neural STAGE FOLDER, see training/neural/README.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.neural import autoencoder, faces, generator, latents, portraits, speech_encoder
from training.neural.checkpoint import export
from training.neural.speech_corpus import SpeechCorpus

STAGES = ("speech", "encoder", "faces", "heard", "vae", "decoder", "latents", "unet", "export")
AMOUNTS = {  # utterances, takes, or steps
    "speech": 1100,
    "faces": 480,
    "encoder": 4000,
    "vae": 3000,
    "decoder": 1200,
    "unet": 8400,
}
FRAMES = 16  # of each take


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("folder", type=Path, help="where corpora and states are kept")
    parser.add_argument("--portraits", type=Path, action="append", help="folder of pictures")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--amount", type=int, help="utterances, takes or steps of this stage")
    parser.add_argument("--out", type=Path, help="of export: the folder of weights")
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    amount = options.amount or AMOUNTS.get(options.stage, 0)
    if options.stage == "speech":
        from training.neural.voices import make_speech  # needs scipy, which the others do not

        make_speech(options.seed, amount).save(folder / "speech.npz")
        return
    if options.stage == "export":
        export(folder, options.out or folder / "models")
        return
    if options.stage == "unet":
        generator.train(folder, options.seed, amount)
        return
    speech = SpeechCorpus.load(folder / "speech.npz")
    if options.stage == "encoder":
        speech_encoder.train(speech, folder, options.seed, amount)
    elif options.stage == "faces":
        pictures = portraits.read_portraits(options.portraits or [Path("examples")])
        faces.make_faces(pictures, speech, options.seed, amount, FRAMES).save(folder)
    elif options.stage == "heard":
        latents.make_heard(faces.FaceCorpus.load(folder), speech, folder, options.seed)
    elif options.stage in ("vae", "decoder"):
        known = autoencoder.read_vae(folder) if options.stage == "decoder" else None
        autoencoder.train(faces.FaceCorpus.load(folder), folder, options.seed, amount, known)
    else:
        latents.make_latents(faces.FaceCorpus.load(folder), folder)


if __name__ == "__main__":
    main()
