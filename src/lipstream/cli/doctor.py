"""`lipstream doctor`: report what works here, what is missing, and what to do about it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import click

from lipstream.cli.options.option import option
from lipstream.cli.options.shared import (
    models_option,
)
from lipstream.cli.serve import DEFAULT_PORT
from lipstream.errors import LipstreamError, MissingError, reason_of
from lipstream.installation import install_command, pip_install
from lipstream.server.required_packages import REQUIRED
from lipstream.timeline import SAMPLE_RATE
from lipstream.weights.catalogue import MUSETALK
from lipstream.weights.manifest import models_folder
from lipstream.weights.placement import check_places

# Modules, as more than one distribution may bring the same: OpenCV comes in four.
PACKAGES = {"numpy": "numpy", "OpenCV": "cv2", "av": "av", "soxr": "soxr", "pillow": "PIL"}
INSTALLED_AS = {"OpenCV": "opencv-python-headless"}
SERVER_MODULES = [name.replace("-", "_") for name in REQUIRED]
UDP_WAIT_S = 1.0  # for a datagram to arrive on the same machine
EXTRAS = ("torch", "safetensors", "huggingface_hub")  # of the musetalk backend


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome for one part of the installation."""

    name: str
    works: bool
    detail: str  # a version or a number, or what to do
    optional: bool = False  # the puppet backend works without it

    @property
    def mark(self) -> str:
        return "ok" if self.works else "--" if self.optional else "missing"


@click.command()
@option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@models_option
@click.pass_context
def doctor(context: click.Context, as_json: bool, models: Path | None) -> None:
    """Check the installation; exit 1 if something is missing that is not optional."""
    results = [
        *check_puppet(),
        check_voice(),
        *check_server(),
        *check_musetalk(models_folder(models)),
    ]
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        for result in results:
            click.echo(f"{result.mark:<7} {result.name}: {result.detail}")
    if not all(result.works or result.optional for result in results):
        context.exit(1)


def check_puppet() -> Iterator[CheckResult]:
    """Use everything the puppet backend needs."""
    for name, module in PACKAGES.items():
        remedy = f"run `{pip_install(INSTALLED_AS.get(name, name))}`"
        yield _check(name, partial(_import, module, remedy))
    yield _check("face models", _find_faces)
    yield _check("articulation network", _load_articulation)
    yield _check("video encoder", _find_encoders)


def check_voice() -> CheckResult:
    """Say a word with the embedded voice, which is optional."""
    return _check("voice", _say_word, optional=True)


def check_server() -> Iterator[CheckResult]:
    """Look at what `lipstream serve` needs: packages, a port and UDP. All of it is optional."""
    yield _check("server packages", _import_server, optional=True)
    yield _check("server port", _find_port, optional=True)
    yield _check("UDP", _send_datagram, optional=True)


def check_musetalk(models: Path) -> Iterator[CheckResult]:
    """Use what the musetalk backend needs. None of it must exist, but all that exists must work."""
    from lipstream.rendering.musetalk.weights.layout import find_landmarks, unread_landmarks

    remedy = f"for musetalk run `{install_command('musetalk')}`"
    attempts = {name: partial(_import, name, remedy, optional=True) for name in EXTRAS}
    packages = [_check(name, attempt, optional=True) for name, attempt in attempts.items()]
    yield from packages
    installed = all(package.works for package in packages)
    if installed:
        yield _check("NVIDIA GPU", _find_gpu, optional=True)
    try:
        yield CheckResult("musetalk weights", True, _load_weights(models, installed))
    except MissingError as error:
        yield CheckResult("musetalk weights", False, f"not installed (optional); {error}", True)
    except LipstreamError as error:
        yield CheckResult("musetalk weights", False, str(error))
    if remark := unread_landmarks(models):
        yield CheckResult("DWPose landmarks", False, remark, optional=True)
    elif landmarks := find_landmarks(models):
        yield _check("DWPose landmarks", partial(_load_landmarks, landmarks))


def _check(name: str, attempt: Callable[[], str], optional: bool = False) -> CheckResult:
    try:
        return CheckResult(name, True, attempt(), optional)
    except LipstreamError as error:
        return CheckResult(name, False, str(error), optional)
    except Exception as error:  # whatever fails here is reported
        # On one line, which OpenCV's own text is not.
        text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        return CheckResult(name, False, f"does not work here ({text}); install it again.", optional)


def _import(module: str, remedy: str, optional: bool = False) -> str:
    """Import it: a distribution may be installed and lack what it needs of the system."""
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise MissingError(f"not installed{' (optional)' * optional}; {remedy}.") from error
    return str(getattr(loaded, "__version__", "installed"))


def _import_server() -> str:
    remedy = f"for the server run `{install_command('server')}`"
    for module in SERVER_MODULES:
        _import(module, f"{module.replace('_', '-')} is missing: {remedy}", optional=True)
    return "all are installed"


def _find_port() -> str:
    """Bind the port that `lipstream serve` takes unless it is told another."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", DEFAULT_PORT))
    except OSError as error:
        raise LipstreamError(
            f"{DEFAULT_PORT} cannot be used: {reason_of(error)}; choose another one with "
            "`lipstream serve --port`."
        ) from error
    return f"{DEFAULT_PORT} is free"


def _send_datagram() -> str:
    """Send one as media are sent, and receive it."""
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        ):
            receiver.bind(("127.0.0.1", 0))
            receiver.settimeout(UDP_WAIT_S)
            sender.sendto(b"lipstream", receiver.getsockname())
            receiver.recv(16)
    except OSError as error:
        raise LipstreamError(
            f"no datagram arrives on this machine ({reason_of(error)}), so no viewer will see "
            "anything; allow UDP in its firewall."
        ) from error
    return "datagrams arrive on this machine; others need it open in the firewalls between"


def _find_gpu() -> str:
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        return f"{device.name}, {device.total_memory / 1e9:.0f} GB"
    if torch.version.cuda is None:
        reason = "this torch was built without CUDA; install another build to use one"
    else:
        reason = "none that torch can use; check its driver with `nvidia-smi`"
    raise MissingError(f"not found (optional); {reason}.")


def _load_weights(models: Path, installed: bool) -> str:
    """The versions in the folder; loaded as far as the packages allow."""
    from lipstream.rendering.musetalk.weights.layout import find_layouts

    check_places(MUSETALK, models)
    layouts = find_layouts(models)
    found = f"{' and '.join(layout.version for layout in layouts)} in {models}"
    if not installed:
        return f"{found}, not read"
    from lipstream.rendering.musetalk.weights.loader import check_models

    check_models(models)
    return found


def _load_landmarks(path: Path) -> str:
    from lipstream.rendering.musetalk.models.dwpose import DwPose

    DwPose.from_file(path)
    return f"loaded from {path}"


def _find_faces() -> str:
    import cv2
    import numpy as np

    from lipstream.avatar.face.finder import FaceFinder

    FaceFinder().find(np.zeros((64, 64, 3), np.uint8))
    return f"run on OpenCV {cv2.__version__}"


def _load_articulation() -> str:
    from lipstream.rendering.registry import open_backend

    look_ahead = open_backend("puppet").encoder.plan.future * 1000 // SAMPLE_RATE
    return f"loaded, {look_ahead} ms of look-ahead"


def _say_word() -> str:
    from lipstream.speech.synthesis.registry import EMBEDDED_MODULES, install_voice, missing_modules

    if missing := missing_modules(EMBEDDED_MODULES):
        raise MissingError(
            f"not installed (optional); for speech from text {install_voice()}, which brings "
            f"{' and '.join(missing)}, or name a provider with --tts."
        )
    from lipstream.speech.synthesis.hibari_voice import VOICE, HibariVoice
    from lipstream.speech.synthesis.sentences import TextPiece

    if not len(HibariVoice().say(TextPiece("Hello.")).samples):
        raise MissingError("it says nothing; install the extra `tts` again.")
    return f"{VOICE}, of hibari-tts; English"


def _find_encoders() -> str:
    import av

    for codec in ("libx264", "aac"):
        if codec not in av.codecs_available:
            remedy = pip_install("--force-reinstall", "--only-binary", "av", "av")
            raise MissingError(f"this build of PyAV has no {codec}; install its wheel: `{remedy}`.")
    return "libx264 and aac are available"
