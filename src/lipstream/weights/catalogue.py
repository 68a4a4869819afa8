"""The files that can be pulled, their repositories on the Hugging Face hub, and their licences.

Sizes, hashes and commits are those that at least two independent public installers state. They were
never pulled where this was made. Unknown are the hash of MuseTalk 1.0, of which only the size is
stated, and the commit and the config of TAESD: these are recorded at the first pull (see
`manifest`), and everything later must agree with that.
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
class Content:
    """The content that a file is published with."""

    size: int  # bytes
    sha256: str | None = None  # hex; None: not known


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a bundle."""

    part: str
    source: Source
    name: str  # inside the repository
    target: str  # below the models folder
    published: Content | None = None  # None: not known


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
    published: Mapping[str, Content] = field(default_factory=dict)  # by name, where known
    alternatives: tuple[str, ...] = ()  # never pulled, but found where they were put by hand
    other_folder: str | None = None  # that is found, too

    @property
    def files(self) -> tuple[WeightFile, ...]:
        """The files that are pulled."""
        return tuple(self._file(self.folder, name) for name in self.names)

    @property
    def placed_files(self) -> tuple[WeightFile, ...]:
        """The other files, and other places of the same ones, that folders filled by hand have."""
        files = [self._file(self.folder, name) for name in self.alternatives]
        if self.other_folder is not None:
            names = (*self.names, *self.alternatives)
            files += [self._file(self.other_folder, name) for name in names]
        return tuple(files)

    def _file(self, folder: str, name: str) -> WeightFile:
        target = f"{folder}/{name.rpartition('/')[2]}"
        return WeightFile(self.name, self.source, name, target, self.published.get(name))


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything one backend needs."""

    name: str
    description: str
    parts: Mapping[str, BundlePart]

    @property
    def files(self) -> tuple[WeightFile, ...]:
        return tuple(file for part in self.parts.values() for file in part.files)

    @property
    def placed_files(self) -> tuple[WeightFile, ...]:
        return tuple(file for part in self.parts.values() for file in part.placed_files)


_OPENRAIL = "creativeml-openrail-m"
_MUSETALK = Source("TMElyralab/MuseTalk", "3ef28bc5cff08c90ad8178a25f1b570cd800170f")
_VAE = Source("stabilityai/sd-vae-ft-mse", "31f26fdeee1355a5c34592e401dd41e45d25a493")
_WHISPER = Source("openai/whisper-tiny", "169d4a4341b33bc18d8881c4b69c2e104e1cc0af")
_DWPOSE = Source("yzd-v/DWPose", "1a7144101628d69ee7a3768d1ee3a094070dc388")
_TAESD = Source("madebyollin/taesd")
# A copy of a file that was first given away elsewhere, with the hash of that one.
_FACE_PARSE = Source(
    "ManyOtherFunctions/face-parse-bisent", "0073b233a5a3c4b1377d4dbf49245017938a72b5"
)
_V15 = ("musetalkV15/musetalk.json", "musetalkV15/unet.pth")
_V1 = ("musetalk/musetalk.json", "musetalk/pytorch_model.bin")
_AUTOENCODER = ("config.json", "diffusion_pytorch_model.safetensors")
_AUTOENCODER_BIN = "diffusion_pytorch_model.bin"
_TRANSFORMER, _TRANSFORMER_BIN = ("config.json", "model.safetensors"), "pytorch_model.bin"
_LANDMARKS, _LANDMARKS_PTH = "dw-ll_ucoco_384.onnx", "dw-ll_ucoco_384.pth"
_PARSER = "79999_iter.pth"
_UNET_CONFIG = Content(748, "5b6923aee04d71692e0e9846c471e0a4ea07a4f686d39545e472bd4ba17e1b47")
_NOTE = (
    "face-parse was trained on CelebAMask-HQ, whose terms allow only non-commercial research; "
    "lipstream's own mask does not need it."
)
_PARTS = (
    BundlePart(
        "v15",
        "MuseTalk 1.5, the one that is used",
        _OPENRAIL,
        _MUSETALK,
        "musetalkV15",
        _V15,
        published={
            _V15[0]: _UNET_CONFIG,
            _V15[1]: Content(
                3_400_074_924, "7ebf6c98c181e20838e4c0054e96e944ac60d5d692cc01db42839fe11b787007"
            ),
        },
    ),
    BundlePart(
        "v1",
        "MuseTalk 1.0",
        _OPENRAIL,
        _MUSETALK,
        "musetalk",
        _V1,
        published={_V1[0]: _UNET_CONFIG, _V1[1]: Content(3_400_076_549)},
    ),
    BundlePart(
        "vae",
        "Stable Diffusion's picture autoencoder",
        "mit",
        _VAE,
        "sd-vae-ft-mse",
        _AUTOENCODER,
        published={
            _AUTOENCODER[0]: Content(
                547, "92d3dfb746fca211a2c9e019e285f8597412211728dce3c5bcf4eda0f2d62e7e"
            ),
            _AUTOENCODER[1]: Content(
                334_643_276, "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815"
            ),
            _AUTOENCODER_BIN: Content(
                334_707_217, "1b4889b6b1d4ce7ae320a02dedaeff1780ad77d415ea0d744b476155c6377ddc"
            ),
        },
        alternatives=(_AUTOENCODER_BIN,),
        other_folder="sd-vae",
    ),
    BundlePart(
        "whisper",
        "Whisper tiny, which encodes the speech",
        "apache-2.0",
        _WHISPER,
        "whisper",
        _TRANSFORMER,
        published={
            _TRANSFORMER[0]: Content(
                1_983, "ffdccec4f3211f4c63310f2b7098f309fe70f3952cedc5e4d11e43f5b2379b98"
            ),
            _TRANSFORMER[1]: Content(
                151_061_672, "7ebd0e69e78190ffe1438491fa05cc1f5c1aa3a4c4db3bc1723adbb551ea2395"
            ),
            _TRANSFORMER_BIN: Content(
                151_095_027, "9607f98a2b22d9e229ae43c52ecea79dcede9e0c5cfae67e8da6eda86d8aac1d"
            ),
        },
        alternatives=(_TRANSFORMER_BIN,),
    ),
    BundlePart(
        "taesd",
        "a small decoder, for the turbo profile",
        "mit",
        _TAESD,
        "taesd",
        _AUTOENCODER,
        optional=True,
        published={
            _AUTOENCODER[1]: Content(
                9_793_292, "db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549"
            )
        },
    ),
    BundlePart(
        "dwpose",
        "the landmarks MuseTalk was published with",
        "apache-2.0",
        _DWPOSE,
        "dwpose",
        (_LANDMARKS,),
        optional=True,
        published={
            _LANDMARKS: Content(
                134_399_116, "724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843"
            ),
            _LANDMARKS_PTH: Content(
                406_878_486, "0d9408b13cd863c4e95a149dd31232f88f2a12aa6cf8964ed74d7d97748c7a07"
            ),
        },
        alternatives=(_LANDMARKS_PTH,),  # found only to say that it is not read
    ),
    BundlePart(
        "face-parse",
        "the face mask MuseTalk was published with",
        "mit code, non-commercial training data",
        _FACE_PARSE,
        "face-parse-bisent",
        (_PARSER,),
        optional=True,
        note=_NOTE,
        published={
            _PARSER: Content(
                53_289_463, "468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567"
            )
        },
        other_folder="face-parse-bisenet",
    ),
)
MUSETALK = Bundle(
    "musetalk", "photo-real lip-sync; wants an NVIDIA GPU", {part.name: part for part in _PARTS}
)
BUNDLES: Mapping[str, Bundle] = {MUSETALK.name: MUSETALK}


def find_bundle(name: str) -> Bundle:
    """The bundle called `name`; OptionError if there is none."""
    if name not in BUNDLES:
        raise OptionError(f"there are no weights called {name!r}; use {' or '.join(BUNDLES)}.")
    return BUNDLES[name]
