"""`lipstream doctor`: what works here, what is missing, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

import click

from lipstream.cli.options import option
from lipstream.errors import LipstreamError

PACKAGES = ("numpy", "opencv-python-headless", "av", "soxr", "pillow")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    works: bool
    detail: str  # what was found, or what to do


@click.command()
@option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def doctor(context: click.Context, as_json: bool) -> None:
    """Check the installation; exit 1 if something is missing."""
    findings = list(examine())
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(f"{'ok ' if finding.works else 'NO '} {finding.name}: {finding.detail}")
    if not all(finding.works for finding in findings):
        context.exit(1)


def examine() -> Iterator[Finding]:
    """Everything the puppet backend needs, tried for real."""
    for package in PACKAGES:
        try:
            yield Finding(package, True, version(package))
        except PackageNotFoundError:
            yield Finding(package, False, f"not installed; run `pip install {package}`.")
    for name, attempt in (
        ("face models", _try_face_models),
        ("articulation network", _try_articulation),
        ("video encoder", _try_encoder),
    ):
        yield _try(name, attempt)


def _try(name: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, attempt())
    except (LipstreamError, ImportError) as error:
        return Finding(name, False, str(error))


def _try_face_models() -> str:
    import cv2
    import numpy as np

    from lipstream.avatar.face import FaceFinder

    FaceFinder().find(np.zeros((64, 64, 3), np.uint8))
    return f"run on OpenCV {cv2.__version__}"


def _try_articulation() -> str:
    from lipstream.rendering.backends import open_backend

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
    return "libx264 and aac are there"
