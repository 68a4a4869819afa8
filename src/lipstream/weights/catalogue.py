"""The files that can be pulled, their repositories on the Hugging Face hub, and their licences.

No SHA-256 is pinned here: nobody has recorded the published files with this program yet. The first
pull records the commit, size and hash of what it got (see `manifest`), and everything later must
agree with that. A hash in `BundlePart.hashes` is checked from the first pull on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lipstream.errors import OptionError


@dataclass(frozen=True, slots=True)
class Source:
    """A repository of the hub at one revision."""

    repository: str  # owner/name
    revision: str = "main"  # branch, tag or commit; what is recorded is always the commit


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a bundle."""

    part: str
    source: Source
    name: str  # inside the repository
    target: str  # below the models folder
    sha256: str | None = None  # None: not known


@dataclass(frozen=True, slots=True)
class BundlePart:
    """Files that are pulled together, from one source into one folder."""

    name: str
    description: str
    licence: str  # as the repository's page states it; the file's owner has the last word
    source: Source
    folder: str  # below the models folder
    names: tuple[str, ...]  # inside the repository
    optional: bool = False
    note: str | None = None  # printed whenever the part is pulled
    hashes: Mapping[str, str] = field(default_factory=dict)  # SHA-256 by name, where known

    @property
    def files(self) -> tuple[WeightFile, ...]:
        targets = {name: f"{self.folder}/{name.rpartition('/')[2]}" for name in self.names}
        return tuple(
            WeightFile(self.name, self.source, name, target, self.hashes.get(name))
            for name, target in targets.items()
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything one backend needs."""

    name: str
    description: str
    parts: Mapping[str, BundlePart]

    @property
    def files(self) -> tuple[WeightFile, ...]:
        return tuple(file for part in self.parts.values() for file in part.files)


_OPENRAIL, _MUSETALK = "creativeml-openrail-m", Source("TMElyralab/MuseTalk")
_VAE, _TAESD = Source("stabilityai/sd-vae-ft-mse"), Source("madebyollin/taesd")
_WHISPER, _DWPOSE = Source("openai/whisper-tiny"), Source("yzd-v/DWPose")
# The least certain address in this list: it is a copy, as the file was first given away elsewhere.
_FACE_PARSE = Source("ManyOtherFunctions/face-parse-bisent")
_V15 = ("musetalkV15/musetalk.json", "musetalkV15/unet.pth")
_V1 = ("musetalk/musetalk.json", "musetalk/pytorch_model.bin")
_AUTOENCODER = ("config.json", "diffusion_pytorch_model.safetensors")
_TRANSFORMER = ("config.json", "model.safetensors")
_NOTE = (
    "face-parse was trained on CelebAMask-HQ, whose terms allow only non-commercial research; "
    "lipstream's own mask does not need it."
)
# fmt: off
_PARTS = (
    BundlePart("v15", "MuseTalk 1.5, the one that is used", _OPENRAIL, _MUSETALK,
               "musetalkV15", _V15),
    BundlePart("v1", "MuseTalk 1.0", _OPENRAIL, _MUSETALK, "musetalk", _V1),
    BundlePart("vae", "Stable Diffusion's picture autoencoder", "mit", _VAE,
               "sd-vae-ft-mse", _AUTOENCODER),
    BundlePart("whisper", "Whisper tiny, which encodes the speech", "apache-2.0", _WHISPER,
               "whisper", _TRANSFORMER),
    BundlePart("taesd", "a small decoder, for the turbo profile", "mit", _TAESD,
               "taesd", _AUTOENCODER, optional=True),
    BundlePart("dwpose", "the landmarks MuseTalk was published with", "apache-2.0", _DWPOSE,
               "dwpose", ("dw-ll_ucoco_384.onnx",), optional=True),
    BundlePart("face-parse", "the face mask MuseTalk was published with",
               "mit code, non-commercial training data", _FACE_PARSE,
               "face-parse-bisent", ("79999_iter.pth",), optional=True, note=_NOTE),
)
# fmt: on
MUSETALK = Bundle(
    "musetalk", "photo-real lip-sync; wants an NVIDIA GPU", {part.name: part for part in _PARTS}
)
BUNDLES: Mapping[str, Bundle] = {MUSETALK.name: MUSETALK}


def find_bundle(name: str) -> Bundle:
    """The bundle called `name`; OptionError if there is none."""
    if name not in BUNDLES:
        raise OptionError(f"there are no weights called {name!r}; use {' or '.join(BUNDLES)}.")
    return BUNDLES[name]
