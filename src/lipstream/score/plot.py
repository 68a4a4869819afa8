"""The plot of a score: mouth and sound as on an oscilloscope, and their correlation by offset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lipstream.media.output_path import replacing
from lipstream.score.curves import Curve, Scale, centres, correlogram, syllabic
from lipstream.score.files import Scored
from lipstream.score.judgement import MAX_LAG
from lipstream.score.sound import MIN_DB

WIDTH, HEIGHT = 1280, 800  # pixels
LEFT, RIGHT = 96, WIDTH - 40  # of all panels
MAX_SECONDS = 20.0  # that are drawn; more would be a blur
MIN_CORRELATION = -0.5  # at the bottom of the panel; the top is 1
BACKGROUND, GRID, TEXT = (16, 20, 24), (48, 56, 64), (208, 216, 224)
MOUTH, ASKED, SOUND = (255, 176, 64), (96, 200, 255), (112, 224, 128)
LIMIT = (240, 112, 128)
Colour = tuple[int, int, int]
Tick = tuple[float, str]  # 0 to 1 along an axis, and what is written there


@dataclass(frozen=True, slots=True)
class Panel:
    """A frame with two axes; curves in it are points of the unit square."""

    top: int
    bottom: int
    across: Sequence[Tick]
    up: Sequence[Tick]

    def draw(self, draw: ImageDraw.ImageDraw) -> None:
        """Draw the frame, and a line with its label for every tick."""
        for place, label in self.across:
            x = LEFT + place * (RIGHT - LEFT)
            draw.line((x, self.top, x, self.bottom), fill=GRID)
            _write(draw, (x, self.bottom + 6), label, anchor="mt")
        for place, label in self.up:
            y = self.bottom - place * (self.bottom - self.top)
            draw.line((LEFT, y, RIGHT, y), fill=GRID)
            _write(draw, (LEFT - 10, y), label, anchor="rm")
        draw.rectangle((LEFT, self.top, RIGHT, self.bottom), outline=GRID)

    def curve(self, draw: ImageDraw.ImageDraw, x: Curve, y: Curve, colour: Colour) -> None:
        """Draw a line; what lies beyond the frame is left out, or held at its edge."""
        inside = (x >= 0) & (x <= 1)
        across = LEFT + x[inside] * (RIGHT - LEFT)
        down = self.bottom - np.clip(y[inside], 0, 1) * (self.bottom - self.top)
        points = list(zip(across.tolist(), down.tolist(), strict=True))
        draw.line(points, fill=colour, width=2)

    def title(self, draw: ImageDraw.ImageDraw, *words: tuple[str, Colour]) -> None:
        """Write words of several colours above the frame."""
        x = float(LEFT)
        for text, colour in words:
            _write(draw, (x, self.top - 24), text, colour=colour)
            x += ImageFont.load_default(14).getlength(text) + 16


def write_plot(scored: Scored, path: Path) -> None:
    """Write a PNG that appears only when it is complete. Raises OptionError and OutputError."""
    with replacing(path, ".png") as file:
        draw_plot(scored).save(file, "PNG")


def draw_plot(scored: Scored) -> Image.Image:
    """(1280 x 800) the opening over the gap that was asked for, the loudness, the correlations."""
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    _write(draw, (LEFT, 20), scored.score.verdict, size=24)
    _draw_curves(draw, scored)
    _draw_correlations(draw, scored)
    return image


def opening_panel(seconds: float) -> Panel:
    """The panel of the lips' opening, from 0 to so many seconds."""
    return Panel(96, 320, _seconds(seconds), [(0, "closed"), (1, "open")])


def _draw_curves(draw: ImageDraw.ImageDraw, scored: Scored) -> None:
    mouth, spoken = scored.mouth, scored.spoken
    openings = mouth.filled()
    times = centres(len(openings), float(mouth.fps))
    seconds = min(float(times[-1]), MAX_SECONDS)
    asked = spoken.track(spoken.gap, scored.start).at(times)
    loudness = spoken.track(spoken.loudness, scored.start).at(times)

    panel = opening_panel(seconds)
    panel.draw(draw)
    panel.title(
        draw,
        ("opening of the lips by time, s:", TEXT),
        ("as seen", MOUTH),
        ("as the sound asks for", ASKED),
    )
    panel.curve(draw, times / seconds, Scale.of(asked).relative(asked), ASKED)
    panel.curve(draw, times / seconds, Scale.of(openings).relative(openings), MOUTH)

    levels = [(1 - level / MIN_DB, f"{level:g}") for level in (MIN_DB, MIN_DB / 2, 0.0)]
    panel = Panel(392, 488, _seconds(seconds), levels)
    panel.draw(draw)
    panel.title(draw, ("loudness by time, dB of full scale", SOUND))
    panel.curve(draw, times / seconds, 1 - loudness / MIN_DB, SOUND)


def _draw_correlations(draw: ImageDraw.ImageDraw, scored: Scored) -> None:
    score, fps = scored.score, float(scored.mouth.fps)
    gap = scored.spoken.track(scored.spoken.gap, scored.start).syllabic()
    lags, found = correlogram(syllabic(scored.mouth.filled(), fps), gap, fps, MAX_LAG)
    levels = [(_height(level), f"{level:g}") for level in (0.0, 0.5, 1.0)]
    reach = round(1000 * MAX_LAG)
    offsets = [
        (_place(ms / 1000), f"{ms:+d}" if ms else "0") for ms in range(-reach, reach + 1, 100)
    ]
    panel = Panel(560, HEIGHT - 48, offsets, levels)
    panel.draw(draw)
    panel.title(
        draw,
        ("correlation by offset, ms (positive: lips late):", TEXT),
        (f"the best, {score.correlation:.2f} at {score.offset_ms:+.0f}", MOUTH),
        (f"reached by one of a hundred wrong mouths, {score.needed_correlation:.2f}", LIMIT),
    )
    edges = np.array([0.0, 1.0])
    panel.curve(draw, edges, np.full(2, _height(score.needed_correlation)), LIMIT)
    panel.curve(draw, np.full(2, _place(score.offset_ms / 1000)), edges, MOUTH)
    across = np.array([_place(lag) for lag in lags])
    panel.curve(draw, across, np.array([_height(one) for one in found]), TEXT)


def _seconds(most: float) -> list[Tick]:
    """A tick every second, or every second one of a long video."""
    step = 1 if most <= MAX_SECONDS / 2 else 2
    return [(second / most, str(second)) for second in range(0, int(most) + 1, step)]


def _place(lag: float) -> float:
    return (lag / MAX_LAG + 1) / 2


def _height(correlation: float) -> float:
    return (correlation - MIN_CORRELATION) / (1 - MIN_CORRELATION)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int = 14,
    colour: Colour = TEXT,
    anchor: str = "la",
) -> None:
    draw.text(place, text, fill=colour, font=ImageFont.load_default(size), anchor=anchor)
