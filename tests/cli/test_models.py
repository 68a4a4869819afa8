"""`lipstream models` lists, pulls and verifies; every wrong file ends in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import rmtree
from typing import cast

import pytest
import torch

from lipstream.installation import install_command
from lipstream.weights.catalogue import BUNDLES, MUSETALK, Bundle, Content, Source
from tests.cli.program import Program, contents, sentence_in, spawn
from tests.rendering.musetalk.networks import TINY_DECODER, write_tiny_decoder
from tests.tiny_models import unet_state, write_models
from tests.weights.bundle import COMMIT
from tests.weights.hub import FakeHub, FakeRepository, serving

UNET = Path("models/musetalkV15/unet.pth")
V1 = "musetalk/pytorch_model.bin"
PARSER = b"not really a network" * 9


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FakeRepository]:
    """Every repository of the catalogue, with tiny networks."""
    folder = tmp_path_factory.mktemp("published")
    write_models(folder)
    write_models(folder, "v1")
    held: dict[str, FakeRepository] = {}
    for file in MUSETALK.files:
        path = folder / file.target
        repository = held.setdefault(file.source.repository, FakeRepository({}))
        repository.files[file.name] = path.read_bytes() if path.exists() else PARSER
    return held


@pytest.fixture
def hub(
    published: dict[str, FakeRepository], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeHub]:
    copies = {
        name: FakeRepository(dict(repository.files)) for name, repository in published.items()
    }
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setitem(cast(dict[str, Bundle], BUNDLES), MUSETALK.name, _pinned(copies))
    with serving(FakeHub(copies)) as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


def _pinned(held: dict[str, FakeRepository]) -> Bundle:
    """The catalogue, had it been written for the tiny networks."""
    parts = {}
    for part in MUSETALK.parts.values():
        files = held[part.source.repository].files
        contents = {
            name: Content(len(files[name]), sha256(files[name]).hexdigest()) for name in part.names
        }
        source = Source(part.source.repository, COMMIT)
        parts[part.name] = replace(part, source=source, published=contents)
    return replace(MUSETALK, parts=parts)


@pytest.fixture
def models(program: Program, published: dict[str, FakeRepository]) -> Path:
    """./models, put there by hand."""
    return write_models(program.folder / "models")


def test_weights_are_listed_pulled_and_verified(program: Program, hub: FakeHub) -> None:
    Path("models").mkdir()
    before = program.done("models", "list").out.splitlines()
    assert before[0].startswith("musetalk: ")
    assert "  v15        missing      MuseTalk 1.5" in before[1]
    assert "TMElyralab/MuseTalk, licence: creativeml-openrail-m" in before[1]
    pulled = program.done("models", "pull", "musetalk")
    assert pulled.err == ""
    assert f"{UNET}: pulled from TMElyralab/MuseTalk at c0ffee000000" in pulled.out
    assert Path("models/musetalk/pytorch_model.bin").is_file()
    assert not Path("models/face-parse-bisent").exists()
    assert "  v15        pulled " in program.done("models", "list").out
    verified = program.done("models", "verify", "musetalk").out.splitlines()
    assert f"{UNET}: as it was pulled" in verified
    assert verified[-1] == "musetalk: the networks take the weights"
    requests = len(hub.gets)
    again = program.done("models", "pull", "musetalk").out
    assert again.count(": complete, from ") == len(pulled.out.splitlines())
    assert len(hub.gets) == requests


def test_parts_are_chosen(program: Program, hub: FakeHub) -> None:
    call = ("models", "pull", "musetalk", "--models", "here", "--without", "v1")
    done = program.done(*call, "--with", "face-parse")
    assert "note: face-parse was trained on CelebAMask-HQ" in done.err
    assert Path("here/face-parse-bisent/79999_iter.pth").read_bytes() == PARSER
    assert not Path("here/musetalk").exists() and not Path("here/dwpose").exists()


def test_another_source_is_named_by_part(program: Program, hub: FakeHub) -> None:
    hub.repositories["me/vae"] = hub.repositories.pop("stabilityai/sd-vae-ft-mse")
    call = ("models", "pull", "musetalk", "--models", "m", "--without", "v1")
    done = program.done(*call, "--repo", "vae=me/vae", "--revision", f"vae={COMMIT}")
    assert "pulled from me/vae at c0ffee000000" in done.out


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--with", "x"], "--with: musetalk has no part 'x'; use v15, v1, vae, "),
        (["--without", "x"], "--without: musetalk has no part 'x'"),
        (["--repo", "me/vae"], "--repo: 'me/vae' names no part; write PART=VALUE"),
        (["--repo", "vae=me"], "--repo: 'me' is no repository; write OWNER/NAME"),
        (["--revision", "x=1"], "--revision: musetalk has no part 'x'"),
    ],
)
def test_wrong_calls_are_refused(program: Program, flags: list[str], sentence: str) -> None:
    assert sentence in program.refused("models", "pull", "musetalk", *flags, status=2)


def test_without_a_command_there_is_help(program: Program) -> None:
    outcome = program.call("models")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: lipstream models [OPTIONS] COMMAND")
    assert "no such command 'x'; see `lipstream models --help`" in program.refused(
        "models", "x", status=2
    )


def test_other_names_are_refused(program: Program) -> None:
    sentence = "there are no weights called 'x'; use musetalk."
    assert program.refused("models", "pull", "x", status=2) == sentence
    assert program.refused("models", "verify", "x", status=2) == sentence


def test_the_folder_comes_from_every_place(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(*arguments: str) -> str:
        return program.done(*arguments).out.splitlines()[0].rpartition("; ")[2]

    Path("settings.toml").write_text('[models]\nmodels = "filed"\n')
    assert listed("--config", "settings.toml", "models", "list") == "filed"
    monkeypatch.setenv("LIPSTREAM_MODELS", "set")
    assert listed("models", "list") == "set"
    assert listed("models", "list", "--models", "flagged") == "flagged"


def test_a_hub_that_refuses_is_named(program: Program, hub: FakeHub) -> None:
    hub.status = 401
    outcome = program.call("models", "pull", "musetalk", "--models", "m")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == (
        f"lipstream: the hub refuses TMElyralab/MuseTalk at {COMMIT} (401): it does not exist or "
        "is not public; check its name, or set HF_TOKEN to a token that may read it.\n"
    )


def test_an_interrupt_says_how_to_go_on(
    program: Program, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lipstream.weights.hub.download", interrupt)
    outcome = program.call("models", "pull", "musetalk", "--models", "m")
    assert (outcome.status, outcome.err) == (
        1,
        "lipstream: interrupted; run 'lipstream models pull musetalk' again to go on from there.\n",
    )


def test_offline_mode_is_named(
    program: Program, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    outcome = spawn("models", "pull", "musetalk", "--models", "m")
    assert outcome.status == 1
    assert "HF_HUB_OFFLINE forbids it; unset it, or put the file in its place" in outcome.err
    assert hub.gets == []


def test_files_put_there_by_hand_are_verified(program: Program, models: Path) -> None:
    lines = program.done("models", "verify").out.splitlines()
    sizes = f"({UNET.stat().st_size} bytes, not 3400074924)"
    (line,) = (line for line in lines if line.startswith(f"{UNET}: "))
    assert "put there by hand, not the published file" in line and line.endswith(sizes)
    assert lines[-1] == "musetalk: the networks take the weights"


def verify_fails(program: Program) -> str:
    """The sentence of a failing `verify`; lines of what is fine may come before."""
    before = contents(program.folder)
    outcome = program.call("models", "verify", "musetalk")
    assert (outcome.status, contents(program.folder)) == (1, before)
    (line,) = outcome.err.splitlines()
    assert line.startswith("lipstream: ") and line.endswith(".") and "bug" not in line
    return line.removeprefix("lipstream: ")


def test_wrong_weights_are_named(program: Program, models: Path) -> None:
    parser = Path("models/face-parse-bisenet/model.pth")
    parser.parent.mkdir()
    parser.write_bytes(PARSER)
    assert f"{parser} is damaged or cut short" in verify_fails(program)
    parser.unlink()
    write_tiny_decoder(Path("models"), TINY_DECODER | {"latent_channels": 16})
    assert "config.json is not of a network of MuseTalk: its latent_cha" in verify_fails(program)
    rmtree("models/taesd")
    content = UNET.read_bytes()
    torch.save({**unet_state(), "conv_in.bias": torch.zeros(3)}, UNET)
    assert f"{UNET}: conv_in.bias has the shape (3,), expected (32,);" in verify_fails(program)
    UNET.write_bytes(content[:-500])
    assert f"{UNET} is damaged or cut short" in verify_fails(program)
    UNET.with_name("musetalk.json").write_text("{")
    assert "musetalk.json is no valid JSON" in verify_fails(program)
    UNET.unlink()
    assert f"{UNET} is missing: run 'lipstream models pull musetalk'." == verify_fails(program)


def test_what_changed_since_it_was_pulled_is_named(program: Program, hub: FakeHub) -> None:
    Path("models").mkdir()
    program.done("models", "pull", "musetalk", "--without", "v1")
    content = bytearray(UNET.read_bytes())
    content[len(content) // 2] ^= 1  # it still loads
    UNET.write_bytes(content)
    assert f"{UNET} is not the file that was pulled (its SHA-256 is " in verify_fails(program)


def test_a_v1_file_in_the_place_of_v15_is_named(program: Program, models: Path) -> None:
    (published,) = [file.published for file in MUSETALK.files if file.name == V1]
    assert published is not None
    os.truncate(UNET, published.size)  # a hole, which takes no room
    named = f"{UNET} has the 3400076549 bytes of musetalk/pytorch_model.bin (v1), not those of v15"
    verified = program.call("models", "verify")
    assert verified.status == 1 and f"lipstream: {named}: move it there or" in verified.err
    rmtree(models / "whisper")  # says less
    outcome = program.call("doctor", "--models", models)
    assert outcome.status == 1
    assert f"missing musetalk weights: {models.parent / named}" in outcome.out


def test_a_cut_file_and_the_other_format_of_landmarks_are_named(
    program: Program, models: Path
) -> None:
    landmarks = models / "dwpose" / "dw-ll_ucoco_384.pth"
    landmarks.parent.mkdir()
    landmarks.write_bytes(PARSER)
    verified = program.done("models", "verify")
    assert verified.err.startswith("note: models/dwpose/dw-ll_ucoco_384.pth is not read, lipstream")
    assert "lipstream needs the .onnx: run 'lipstream models pull musetalk --with" in verified.err
    examined = program.done("doctor", "--models", models).out.splitlines()
    assert examined[-1].startswith(f"--      DWPose landmarks: {landmarks} is not read, lipstream ")
    parser = models / "face-parse-bisent" / "79999_iter.pth"
    parser.parent.mkdir()
    parser.write_bytes(PARSER)
    outcome = program.call("doctor", "--models", models)
    assert outcome.status == 1
    assert f"missing musetalk weights: {parser} is damaged or cut short" in outcome.out


def test_landmarks_that_are_cut_short_are_named(
    program: Program, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    landmarks = Path("models/dwpose/dw-ll_ucoco_384.onnx")
    landmarks.parent.mkdir()
    # Begins as real ones do: version 7, written by pytorch, and a graph of 128 MB.
    landmarks.write_bytes(b"\x08\x07\x12\x07pytorch\x3a\x80\x80\x80\x40" + bytes(1000))
    fault = f"{landmarks} is no ONNX network: delete it and run 'lipstream models pull musetalk --"
    assert verify_fails(program).startswith(fault)
    outcome = program.call("doctor", "--models", "models")
    assert outcome.status == 1 and f"missing DWPose landmarks: {fault}" in outcome.out
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "note: landmarks of DWPose need onnxruntime" in program.done("models", "verify").err
    outcome = program.call("doctor", "--models", "models")
    assert outcome.status == 1  # a render would refuse, too
    assert "missing DWPose landmarks: landmarks of DWPose need onnxruntime" in outcome.out


def test_without_the_extra_packages_there_are_sentences(program: Program, models: Path) -> None:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        blocked = "torch", "safetensors", "huggingface_hub"
        script = (
            f"import sys; sys.modules.update(dict.fromkeys({blocked})); "
            f"from lipstream.cli import main; sys.exit(main({arguments}))"
        )
        return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    listed = call("models", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    verified = call("models", "verify")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert f"to check that they load run `{install_command('musetalk')}`" in verified.stdout
    pulled = call("models", "pull", "musetalk")
    assert (pulled.returncode, pulled.stdout) == (1, "")
    assert sentence_in(pulled.stderr) == (
        f"pulling weights needs the package huggingface_hub; run `{install_command('musetalk')}`."
    )
    examined = call("doctor")
    assert (examined.returncode, examined.stderr) == (0, "")
    assert examined.stdout.splitlines()[-1].endswith("musetalk weights: v15 in models, not read")


def test_an_empty_folder_is_named(program: Program) -> None:
    Path("models").mkdir()
    assert f"{UNET} is missing" in verify_fails(program)
