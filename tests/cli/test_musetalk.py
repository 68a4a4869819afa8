"""`--backend musetalk`: from weights to a movie, and every way the weights can be wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from lipstream.avatar.storage import load_avatar
from tests.cli.program import Program

torch = pytest.importorskip("torch")

UNET = "musetalkV15/unet.pth"


def call(
    models: Path, portrait: Path | str, speech: Path, out: str = "out.mp4"
) -> tuple[str | Path, ...]:
    return (
        *("render", "--avatar", portrait, "--audio", speech, "-o", out),
        *("--backend", "musetalk", "--models", models, "--device", "cpu"),
    )


@pytest.fixture
def copied(models: Path, tmp_path: Path) -> Path:
    """Weights of the test's own, to be spoilt."""
    return Path(shutil.copytree(models, tmp_path / "spoilt"))


def test_a_movie_has_every_frame_and_its_sound(
    program: Program, models: Path, portrait: Path, speech: Path
) -> None:
    done = program.done(*call(models, portrait, speech))
    assert ": 5 frames, 0.20 s" in done.out
    assert done.err.splitlines()[-1] == "backend: musetalk (it was chosen)"
    with av.open("out.mp4") as movie:
        assert movie.streams.video[0].frames == 5
        assert movie.streams.audio[0].duration == 3200


def test_what_was_prepared_is_kept_and_used(
    program: Program, models: Path, portrait: Path, speech: Path
) -> None:
    musetalk = ("--backend", "musetalk", "--models", models, "--device", "cpu")
    program.done("prepare", portrait, "-o", "anna.avatar", *musetalk)
    latents = load_avatar(Path("anna.avatar"))["face_latent"]
    assert isinstance(latents, np.ndarray) and latents.shape == (1, 8, 32, 32)
    program.done(*call(models, "anna.avatar", speech))


def test_auto_says_why_it_is_the_puppet(
    program: Program, models: Path, portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    auto = ("render", "--avatar", portrait, "--audio", speech, "-o", "out.mp4")
    message = program.done(*auto, "--models", models).err
    assert "backend: puppet (musetalk needs an NVIDIA GPU to keep up with speech)" in message
    message = program.done(*auto, "--models", program.folder).err
    assert "holds no musetalk weights)" in message


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def reshape(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    state["conv_in.weight"] = state["conv_in.weight"][:, :4].clone()
    torch.save(state, path)


def drop_a_key(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    del state["conv_out.bias"]
    torch.save(state, path)


def pickle_code(path: Path) -> None:
    torch.save({"conv_in.weight": Path("/")}, path)


SPOILT: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing", lambda path: path.unlink(), "lipstream models pull musetalk"),
    ("truncated", truncate, "unet.pth"),
    ("empty", lambda path: path.write_bytes(b""), "unet.pth"),
    ("text", lambda path: path.write_text("hello"), "unet.pth"),
    ("reshaped", reshape, "conv_in.weight"),
    ("incomplete", drop_a_key, "conv_out.bias"),
    ("code", pickle_code, "unet.pth"),
]


@pytest.mark.parametrize(("spoil", "named"), [s[1:] for s in SPOILT], ids=[s[0] for s in SPOILT])
def test_wrong_weights_are_named_in_one_sentence(
    program: Program,
    copied: Path,
    portrait: Path,
    speech: Path,
    spoil: Callable[[Path], object],
    named: str,
) -> None:
    spoil(copied / UNET)
    assert named in program.refused(*call(copied, portrait, speech), status=1)


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--device", "tpu9", "device"),
        ("--precision", "float8", "float8"),
        ("--face-size", "100", "100"),
        ("--model-version", "v3", "v3"),
    ],
)
def test_wrong_settings_are_wrong_calls(
    program: Program,
    models: Path,
    portrait: Path,
    speech: Path,
    option: str,
    value: str,
    named: str,
) -> None:
    assert named in program.refused(*call(models, portrait, speech), option, value, status=2)
