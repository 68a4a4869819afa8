"""The plot of a score: mouth and sound as on an oscilloscope, and their correlation by offset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lipstream.media.output_path import replacing
from lipstream.score.curves import Curve, Scale, centres, correlogram
from lipstream.score.files import Scored
from lipstream.score.judgement import MAX_LAG, levelled
from lipstream.score.sound import MIN_DB

WIDTH, HEIGHT, MARGIN = 1280, 720, 48  # pixels
MAX_SECONDS = 20.0  # that are drawn; more would be a blur
BACKGROUND, GRID, TEXT = (16, 20, 24), (48, 56, 64), (208, 216, 224)
MOUTH, ASKED, SOUND = (255, 176, 64), (96, 200, 255), (112, 224, 128)
Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]  # left, top, right, bottom
PANELS: tuple[Box, ...] = (
    (MARGIN, 72, WIDTH - MARGIN, 320),
    (MARGIN, 368, WIDTH - MARGIN, 464),
    (MARGIN, 520, WIDTH - MARGIN, HEIGHT - MARGIN),
)


def write_plot(scored: Scored, path: Path) -> None:
    """Write a PNG that appears only when it is complete. Raises OptionError and OutputError."""
    with replacing(path, ".png") as file:
        draw_plot(scored).save(file, "PNG")


def draw_plot(scored: Scored) -> Image.Image:
    """(1280 x 720) the opening over the gap that was asked for, the loudness, the correlations."""
    mouth, spoken, score = scored.mouth, scored.spoken, scored.score
    fps, openings = float(mouth.fps), mouth.filled()
    times = centres(len(openings), fps)
    seconds = min(float(times[-1]), MAX_SECONDS)
    gap = spoken.track(spoken.gap, scored.start)
    asked = gap.at(times)
    loudness = spoken.track(spoken.loudness, scored.start).at(times)
    lags, found = correlogram(levelled(openings, fps), gap, fps, MAX_LAG)

    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    _write(draw, (MARGIN, 16), score.verdict, 24)
    _panel(draw, PANELS[0], f"opening of the lips, {seconds:.1f} s:")
    _write(draw, (MARGIN + 190, 50), "as seen", 14, MOUTH)
    _write(draw, (MARGIN + 260, 50), "as the sound asks for", 14, ASKED)
    _curve(draw, PANELS[0], times / seconds, Scale.of(asked).relative(asked), ASKED)
    _curve(draw, PANELS[0], times / seconds, Scale.of(openings).relative(openings), MOUTH)
    _panel(draw, PANELS[1], "loudness")
    _curve(draw, PANELS[1], times / seconds, 1 - loudness / MIN_DB, SOUND)
    reach = f"{1000 * MAX_LAG:.0f}"
    _panel(draw, PANELS[2], f"correlation by offset, -{reach} to {reach} ms; right: lips late")
    _curve(draw, PANELS[2], (lags / MAX_LAG + 1) / 2, (found + 0.25) / 1.25, TEXT)
    _mark(draw, PANELS[2], (score.offset_ms / 1000 / MAX_LAG + 1) / 2)
    return image


def _panel(draw: ImageDraw.ImageDraw, box: Box, title: str) -> None:
    draw.rectangle(box, outline=GRID)
    left, top, right, bottom = box
    for eighth in range(1, 8):
        x = left + (right - left) * eighth // 8
        draw.line((x, top, x, bottom), fill=GRID)
    _write(draw, (left, top - 22), title, 14)


def _curve(draw: ImageDraw.ImageDraw, box: Box, x: Curve, y: Curve, colour: Colour) -> None:
    """A line through points of the unit square; what lies beyond it is left out or held."""
    left, top, right, bottom = box
    inside = (x >= 0) & (x <= 1)
    across = left + x[inside] * (right - left)
    down = bottom - np.clip(y[inside], 0, 1) * (bottom - top)
    points: Sequence[tuple[float, float]] = list(zip(across.tolist(), down.tolist(), strict=True))
    draw.line(points, fill=colour, width=2)


def _mark(draw: ImageDraw.ImageDraw, box: Box, place: float) -> None:
    left, top, right, bottom = box
    x = left + place * (right - left)
    draw.line((x, top, x, bottom), fill=MOUTH, width=2)


def _write(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: Colour = TEXT
) -> None:
    draw.text(place, text, fill=colour, font=ImageFont.load_default(size))
