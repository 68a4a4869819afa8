"""A report as a picture: frames per second by size of batch, sessions as shares of the ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lipstream.errors import MissingError, OutputError

if TYPE_CHECKING:
    from lipstream.media.image import Image

WIDTH, PANEL, MARGIN, BAR = 900, 300, 60, 26
# RGB, by how the name of a side begins; the first that fits.
COLOURS = {
    "baseline (a')": (200, 160, 90),
    "baseline": (150, 150, 150),
    "turbo": (90, 170, 90),
    "": (40, 110, 200),
}
INK, PAPER = (40, 40, 40), (255, 255, 255)

Bars = Sequence[tuple[str, float, str]]  # label, value, side


def plot_there() -> bool:
    """Whether pictures can be drawn here."""
    return find_spec("cv2") is not None


def plot_report(report: Mapping[str, Any], path: Path) -> Path:
    """Draw `report` as a png. MissingError without OpenCV, OutputError where it cannot be put."""
    if not plot_there():
        raise MissingError("plots need OpenCV; run `pip install opencv-python-headless`.")
    import cv2

    picture = draw_report(report)
    done, data = cv2.imencode(".png", picture[:, :, ::-1])
    assert done
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OutputError(f"{path} cannot be written: {reason}; choose another place.") from error
    return path


def draw_report(report: Mapping[str, Any]) -> Image:
    """(height, 900, 3) RGB: a panel for each part that has one."""
    parts = report["parts"]
    panels = [_panel(title, bars) for title, bars in _panels(parts) if bars]
    if not panels:
        panels = [_panel("nothing in this report can be drawn", ())]
    return np.concatenate(panels)


def _panels(parts: Mapping[str, Any]) -> Sequence[tuple[str, Bars]]:
    throughput = parts.get("throughput", {})
    speeds, loops = throughput.get("speeds", ()), throughput.get("loops", ())

    def bars(rows: Sequence[Mapping[str, Any]]) -> Bars:
        return [(f"{one['batch']}", one["fps"], one["side"]) for one in rows]

    named = "grey baseline, amber compiled, blue lipstream, green turbo"
    scheduled = [
        (f"{one['sessions']}", 100 * one["share"], "" if one["pipelined"] else "baseline")
        for one in parts.get("schedule", ())
        if one["load"] == "sessions"
    ]
    drawing = [
        (one["name"].split(",")[0], one["median"], "" if one["name"] == "puppet" else "baseline")
        for one in parts.get("puppet", ())
    ]
    return (
        (f"networks alone, frames/s by batch: {named}", bars(speeds)),
        ("speech to finished frames, frames/s by batch", bars(loops)),
        ("scheduler: sessions held, % of an imaginary device; blue: pipelined", scheduled),
        ("drawing a puppet's frame, ms", drawing),
    )


def _panel(title: str, bars: Bars) -> Image:
    import cv2

    panel = np.full((PANEL, WIDTH, 3), PAPER, np.uint8)

    def write(text: str, x: float, y: float, size: float = 0.45) -> None:
        place = (int(x), int(y))
        cv2.putText(panel, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)

    write(title, MARGIN / 2, 24)
    base, highest = PANEL - 40, max((value for _, value, _ in bars), default=1.0) or 1.0
    cv2.line(panel, (MARGIN // 2, base), (WIDTH - MARGIN // 2, base), INK, 1)
    step = (WIDTH - MARGIN) / max(len(bars), 8)
    for n, (label, value, side) in enumerate(bars):
        x, top = MARGIN / 2 + (n + 0.5) * step, base - (base - 70) * value / highest
        wide = min(BAR, step * 0.7)
        corner, end = (int(x - wide / 2), int(top)), (int(x + wide / 2), base)
        colour = next(COLOURS[name] for name in COLOURS if side.startswith(name))
        cv2.rectangle(panel, corner, end, colour, -1)
        write(f"{value:.3g}", x - 4 * len(f"{value:.3g}"), top - 6, 0.38)
        write(label, x - 4 * len(label), base + 18, 0.4)
    return panel
