"""`lipstream doctor` reports what works and how to get what is missing."""

from __future__ import annotations

import json
import socket
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import cv2
import pytest

from lipstream.avatar.face import opencv_net
from lipstream.cli import doctor
from lipstream.installation import install_command, pip_install
from tests.cli.program import Program
from tests.tiny_models import write_models

NAMES = [*doctor.PACKAGES, "face models", "articulation network", "video encoder", "voice"]
SERVER = ["server packages", "server port", "UDP"]
OPTIONAL = [*SERVER, *doctor.EXTRAS, "NVIDIA GPU", "musetalk weights"]


@pytest.fixture(autouse=True)
def no_weights(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor those that whoever runs the tests may have."""
    monkeypatch.setenv("LIPSTREAM_MODELS", str(tmp_path / "no models"))


@pytest.fixture(autouse=True)
def quick_voice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the embedded voice takes a second, so most tests here do without."""
    if "real_voice" not in request.fixturenames:
        monkeypatch.setattr(doctor, "_say_word", lambda: "heart")


@pytest.fixture
def real_voice() -> None:
    """Asked for by tests that load it."""


@pytest.mark.usefixtures("real_voice")
def test_all_is_well_here(program: Program) -> None:
    done = program.done("doctor")
    lines = done.out.splitlines()
    assert [line.split(":")[0] for line in lines[: len(NAMES)]] == [f"ok      {n}" for n in NAMES]
    assert [line[8:].split(":")[0] for line in lines[len(NAMES) :]] == OPTIONAL
    assert done.err == ""


def test_programs_can_read_the_findings(program: Program) -> None:
    findings = json.loads(program.done("doctor", "--json").out)
    assert [finding["name"] for finding in findings] == [*NAMES, *OPTIONAL]
    assert all(finding["works"] or finding["optional"] for finding in findings)
    assert all(finding["detail"] for finding in findings)


def test_what_is_optional_may_be_missing(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    lines = program.done("doctor").out.splitlines()
    assert (
        "--      torch: not installed (optional); for musetalk run "
        f"`{install_command('musetalk')}`." in lines
    )
    path = tmp_path / "no models" / "musetalkV15" / "unet.pth"
    assert lines[-1] == (
        f"--      musetalk weights: not installed (optional); {path} is missing: "
        "run 'lipstream models pull musetalk'."
    )


def test_weights_are_looked_into(program: Program, tmp_path: Path) -> None:
    models = write_models(tmp_path / "models")
    lines = program.done("doctor", "--models", models).out.splitlines()
    assert lines[-1] == f"ok      musetalk weights: v15 in {models}"
    unet = models / "musetalkV15" / "unet.pth"
    unet.write_bytes(unet.read_bytes()[:-100])
    outcome = program.call("doctor", "--models", models)
    assert outcome.status == 1
    assert f"missing musetalk weights: {unet} is damaged or cut short: delete it" in outcome.out


@pytest.mark.usefixtures("real_voice")
def test_a_voice_that_is_not_installed_is_named(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipstream.speech.synthesis.registry.find_spec", lambda name: None)
    (line,) = [line for line in program.done("doctor").out.splitlines() if " voice: " in line]
    assert line.startswith("--      voice: not installed (optional); ")
    assert f"`{install_command('tts')}`" in line and "--tts" in line


class Silent(socket.socket):
    """A socket whose datagrams a firewall drops."""

    def sendto(self, *_: object) -> int:
        return 0


def test_what_the_server_needs_may_be_missing(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiortc", None)
    monkeypatch.setattr(doctor, "UDP_WAIT_S", 0.01)
    monkeypatch.setattr("socket.socket", Silent)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "DEFAULT_PORT", port)
        lines = program.done("doctor").out.splitlines()
    assert (
        "--      server packages: not installed (optional); aiortc is missing: for the server run "
        f"`{install_command('server')}`." in lines
    )
    wrong = (
        f"--      server port: {port} cannot be used: address already in use; choose another one"
    )
    assert any(line.startswith(wrong) for line in lines)
    assert any(line.startswith("--      UDP: no datagram arrives on this") for line in lines)


@pytest.mark.parametrize(
    ("cuda", "message"), [(None, "built without CUDA"), ("12.8", "nvidia-smi")]
)
def test_a_missing_gpu_is_named(
    program: Program, monkeypatch: pytest.MonkeyPatch, cuda: str | None, message: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.version.cuda", cuda)
    out = program.done("doctor").out
    (line,) = [line for line in out.splitlines() if "NVIDIA GPU" in line]
    assert line.startswith("--      NVIDIA GPU: not found (optional); ") and message in line


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_missing_face_model_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    monkeypatch.setattr(opencv_net, "FOLDER", tmp_path)
    outcome = program.call("doctor", *flags)
    assert (outcome.status, outcome.err) == (1, "")
    assert "face model" in outcome.out and "is missing; run `" in outcome.out
    if not flags:
        (line,) = [line for line in outcome.out.splitlines() if line.startswith("missing")]
        assert line.startswith("missing face models: ")
    else:
        findings = json.loads(outcome.out)
        assert [f["name"] for f in findings if not (f["works"] or f["optional"])] == ["face models"]


def test_a_missing_network_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipstream.speech.articulation.network.files", lambda package: tmp_path)
    outcome = program.call("doctor")
    assert outcome.status == 1
    assert "missing articulation network: " in outcome.out and "network.npz" in outcome.out


def test_a_missing_encoder_is_found(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("av.codecs_available", {"aac"})
    outcome = program.call("doctor")
    assert outcome.status == 1
    assert "missing video encoder: this build of PyAV has no libx264; install" in outcome.out


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("soxr", f"soxr: not installed; run `{pip_install('soxr')}`."),
        (
            "cv2",
            f"OpenCV: not installed; run `{pip_install('opencv-python-headless')}`.",
        ),
    ],
)
def test_a_missing_package_is_found(
    program: Program, monkeypatch: pytest.MonkeyPatch, module: str, message: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    outcome = program.call("doctor")
    assert outcome.status == 1
    assert f"missing {message}\n" in outcome.out


def test_any_distribution_of_opencv_will_do(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", version, raising=False)
    assert f"ok      OpenCV: {cv2.__version__}\n" in program.done("doctor").out


def test_a_package_that_cannot_be_loaded_is_found(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As OpenCV where the system has no libGL."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2")
    outcome = program.call("doctor")
    assert outcome.status == 1
    message = "does not work here (ImportError: libGL.so.1: cannot open shared object); install it"
    assert f"missing OpenCV: {message} again.\n" in outcome.out


def test_a_broken_model_is_found(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise cv2.error("OpenCV(5.0.0) net.cpp:1:\n  error: (-215) Assertion failed\n")

    monkeypatch.setattr(opencv_net.TfliteNetwork, "run", broken)
    outcome = program.call("doctor")
    assert (outcome.status, outcome.err) == (1, "")
    message = "OpenCV(5.0.0) net.cpp:1: error: (-215) Assertion failed"
    assert f"missing face models: does not work here (error: {message}); install" in outcome.out


def test_a_missing_face_model_stops_a_render_in_words(
    program: Program,
    portrait: Path,
    speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opencv_net, "FOLDER", tmp_path)
    assert "is missing; run `" in program.refused_render(portrait, speech)
