"""`lipstream doctor`: report what works here, what is missing, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import click

from lipstream.cli.options import models_option, option
from lipstream.errors import LipstreamError, MissingError
from lipstream.weights import models_folder

# Modules, as more than one distribution may bring the same: OpenCV comes in four.
PACKAGES = {"numpy": "numpy", "OpenCV": "cv2", "av": "av", "soxr": "soxr", "pillow": "PIL"}
INSTALLED_AS = {"OpenCV": "opencv-python-headless"}
EXTRAS = ("torch", "safetensors", "huggingface_hub")  # of the musetalk backend
INSTALL = "for musetalk run `pip install 'lipstream[musetalk]'`"


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
    results = [*check_puppet(), *check_musetalk(models_folder(models))]
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
        installed = INSTALLED_AS.get(name, name)
        yield _try_package(name, module, f"run `pip install {installed}`", optional=False)
    for name, attempt in (
        ("face models", _try_face_models),
        ("articulation network", _try_articulation),
        ("video encoder", _try_encoder),
    ):
        yield _try(name, attempt)


def check_musetalk(models: Path) -> Iterator[CheckResult]:
    """Use what the musetalk backend needs. None of it must exist, but all that exists must work."""
    packages = [_try_package(name, name, INSTALL, optional=True) for name in EXTRAS]
    yield from packages
    installed = all(package.works for package in packages)
    if installed:
        yield _try_gpu()
    try:
        yield CheckResult("musetalk weights", True, _try_weights(models, installed))
    except MissingError as error:
        yield CheckResult("musetalk weights", False, f"not installed (optional); {error}", True)
    except LipstreamError as error:
        yield CheckResult("musetalk weights", False, str(error))


def _try_package(name: str, module: str, remedy: str, optional: bool) -> CheckResult:
    """Import it: a distribution may be installed and lack what it needs of the system."""
    aside = " (optional)" if optional else ""
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            return CheckResult(name, False, f"not installed{aside}; {remedy}.", optional)
        return CheckResult(name, False, _failed(error), optional)
    except (ImportError, OSError) as error:
        return CheckResult(name, False, _failed(error), optional)
    return CheckResult(name, True, str(getattr(loaded, "__version__", "installed")), optional)


def _failed(error: Exception) -> str:
    """The error on one line, which OpenCV's own text is not."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
    return f"does not work here ({text}); install it again."


def _try_gpu() -> CheckResult:
    import torch

    if torch.cuda.is_available():
        device = torch.cuda.get_device_properties(0)
        size = device.total_memory / 1e9
        return CheckResult("NVIDIA GPU", True, f"{device.name}, {size:.0f} GB", optional=True)
    if torch.version.cuda is None:
        reason = "this torch was built without CUDA; install another build to use one"
    else:
        reason = "none that torch can use; check its driver with `nvidia-smi`"
    return CheckResult("NVIDIA GPU", False, f"not found (optional); {reason}.", optional=True)


def _try_weights(models: Path, installed: bool) -> str:
    """The versions in the folder; loaded as far as the packages allow."""
    from lipstream.rendering.musetalk.weights.layout import find_layouts

    layouts = find_layouts(models)
    found = f"{' and '.join(layout.version for layout in layouts)} in {models}"
    if not installed:
        return f"{found}, not read"
    from lipstream.rendering.musetalk.weights.loader import check_checkpoint

    for layout in layouts:
        check_checkpoint(layout)
    return found


def _try(name: str, attempt: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, True, attempt())
    except LipstreamError as error:
        return CheckResult(name, False, str(error))
    except Exception as error:  # whatever fails here is what the user wants to know
        return CheckResult(name, False, _failed(error))


def _try_face_models() -> str:
    import cv2
    import numpy as np

    from lipstream.avatar.face.finder import FaceFinder

    FaceFinder().find(np.zeros((64, 64, 3), np.uint8))
    return f"run on OpenCV {cv2.__version__}"


def _try_articulation() -> str:
    from lipstream.rendering.registry import open_backend

    backend = open_backend("puppet")
    look_ahead = backend.encoder.plan.future * 1000 // 16_000
    return f"loaded, {look_ahead} ms of look-ahead"


def _try_encoder() -> str:
    import av

    from lipstream.errors import MissingError

    for codec in ("libx264", "aac"):
        if codec not in av.codecs_available:
            raise MissingError(
                f"this build of PyAV has no {codec}; install the wheel with `pip install av`."
            )
    return "libx264 and aac are available"
