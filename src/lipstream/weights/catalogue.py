"""What can be pulled: files, their repositories on the Hugging Face hub, and their licences.

No SHA-256 is pinned here: nobody has recorded the published files with this program yet. The first
pull records the commit, size and hash of what it got (see `manifest`), and everything later must
agree with that. A hash written into `WeightFile.sha256` is checked from the first pull on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lipstream.errors import OptionError


@dataclass(frozen=True, slots=True)
class Source:
    """Where a part comes from."""

    repository: str  # owner/name on the hub
    revision: str = "main"  # branch, tag or commit; what is recorded is always the commit


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a bundle."""

    part: str  # files of one part are pulled together, from one source
    source: Source
    name: str  # inside the repository
    target: str  # below the models folder
    sha256: str | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class Part:
    """Some files that belong together."""

    name: str
    what: str
    licence: str  # as the repository's page states it; the file's owner has the last word
    optional: bool = False
    note: str | None = None  # printed whenever the part is pulled


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything one backend needs."""

    name: str
    what: str
    parts: Mapping[str, Part]
    files: tuple[WeightFile, ...] = field(default=())

    def files_of(self, part: str) -> tuple[WeightFile, ...]:
        return tuple(file for file in self.files if file.part == part)


def _parts(*parts: Part) -> dict[str, Part]:
    return {part.name: part for part in parts}


_MUSETALK = Source("TMElyralab/MuseTalk")
_VAE = Source("stabilityai/sd-vae-ft-mse")
_WHISPER = Source("openai/whisper-tiny")
_TAESD = Source("madebyollin/taesd")
_DWPOSE = Source("yzd-v/DWPose")
# The least certain address in this list: it is a copy, as the file was first given away elsewhere.
_FACE_PARSE = Source("ManyOtherFunctions/face-parse-bisent")

MUSETALK = Bundle(
    "musetalk",
    "photo-real lip-sync; wants an NVIDIA GPU",
    _parts(
        Part("v15", "MuseTalk 1.5, the one that is used", "creativeml-openrail-m"),
        Part("v1", "MuseTalk 1.0", "creativeml-openrail-m"),
        Part("vae", "Stable Diffusion's picture autoencoder", "mit"),
        Part("whisper", "Whisper tiny, which hears the speech", "apache-2.0"),
        Part("taesd", "a small decoder, for the turbo profile", "mit", optional=True),
        Part("dwpose", "the landmarks MuseTalk was published with", "apache-2.0", optional=True),
        Part(
            "face-parse",
            "the face mask MuseTalk was published with",
            "mit code, non-commercial training data",
            optional=True,
            note=(
                "face-parse was trained on CelebAMask-HQ, whose terms allow only non-commercial "
                "research; lipstream's own mask does not need it."
            ),
        ),
    ),
    (
        WeightFile("v15", _MUSETALK, "musetalkV15/musetalk.json", "musetalkV15/musetalk.json"),
        WeightFile("v15", _MUSETALK, "musetalkV15/unet.pth", "musetalkV15/unet.pth"),
        WeightFile("v1", _MUSETALK, "musetalk/musetalk.json", "musetalk/musetalk.json"),
        WeightFile("v1", _MUSETALK, "musetalk/pytorch_model.bin", "musetalk/pytorch_model.bin"),
        WeightFile("vae", _VAE, "config.json", "sd-vae-ft-mse/config.json"),
        WeightFile(
            "vae",
            _VAE,
            "diffusion_pytorch_model.safetensors",
            "sd-vae-ft-mse/diffusion_pytorch_model.safetensors",
        ),
        WeightFile("whisper", _WHISPER, "config.json", "whisper/config.json"),
        WeightFile("whisper", _WHISPER, "model.safetensors", "whisper/model.safetensors"),
        WeightFile("taesd", _TAESD, "config.json", "taesd/config.json"),
        WeightFile(
            "taesd",
            _TAESD,
            "diffusion_pytorch_model.safetensors",
            "taesd/diffusion_pytorch_model.safetensors",
        ),
        WeightFile("dwpose", _DWPOSE, "dw-ll_ucoco_384.onnx", "dwpose/dw-ll_ucoco_384.onnx"),
        WeightFile("face-parse", _FACE_PARSE, "79999_iter.pth", "face-parse-bisent/79999_iter.pth"),
    ),
)

BUNDLES: Mapping[str, Bundle] = {MUSETALK.name: MUSETALK}


def find_bundle(name: str) -> Bundle:
    """The bundle called `name`; OptionError if there is none."""
    if name not in BUNDLES:
        raise OptionError(f"there are no weights called {name!r}; use {' or '.join(BUNDLES)}.")
    return BUNDLES[name]
