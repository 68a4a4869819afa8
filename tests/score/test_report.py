from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lipstream.errors import OptionError
from lipstream.score.files import Scored
from lipstream.score.judgement import Likeness, judge
from lipstream.score.plot import LEFT, MOUTH, RIGHT, draw_plot, opening_panel, write_plot
from lipstream.score.report import as_json, as_table
from lipstream.score.sound import Spoken
from lipstream.score.syncnet.distances import Agreement
from tests.score.conftest import saying

KEYS = set(
    "verdict follows offset_ms correlation needed_correlation chance energy_correlation "
    "energy_offset_ms closures range silence_opening silence_motion sharpness tint seconds frames "
    "frames_with_face reference syncnet".split()
)


@pytest.fixture(scope="module")
def scored(sentence: Spoken) -> Scored:
    mouth = saying(sentence)
    return Scored(judge(mouth, sentence), mouth, sentence, 0.0)


def test_json_has_every_figure_and_no_nan(scored: Scored) -> None:
    score = replace(scored.score, silence_opening=np.nan)
    figures = json.loads(as_json(score))
    assert figures["verdict"] == "in sync" and figures["follows"] is True
    assert figures["silence_opening"] is None
    assert figures["closures"] == {"seen": score.closures.hits, "of": score.closures.total}
    assert figures["reference"] is None and figures["syncnet"] is None


def test_the_keys_of_json_stay(scored: Scored) -> None:
    """Programs read them; `docs/score.md` has them all."""
    with_all = replace(scored.score, reference=Likeness(1, 1, 1), syncnet=Agreement(7.5, 6.9, 40.0))
    figures = json.loads(as_json(with_all))
    assert set(figures) == KEYS
    assert set(figures["reference"]) == {"colour", "sharpness", "correlation"}
    assert figures["syncnet"] == {"lse_c": 7.5, "lse_d": 6.9, "offset_ms": 40.0}
    explained = (Path(__file__).parents[2] / "docs" / "score.md").read_text()
    assert all(f"`{key}`" in explained for key in KEYS)
    assert "SyncNet: LSE-C" in as_table(with_all)


def test_the_table_ends_with_the_verdict(scored: Scored) -> None:
    score = replace(scored.score, silence_opening=np.nan, reference=Likeness(3.2, 0.9, 0.8))
    lines = as_table(score).splitlines()
    assert lines[-1] == "in sync"
    (silence,) = [line for line in lines if line.startswith("open in silence")]
    assert silence.split()[3] == "-"
    assert any(line.startswith("reference: colour") and "3.2" in line for line in lines)


def test_the_plot_shows_mouth_and_sound(scored: Scored, tmp_path: Path) -> None:
    path = tmp_path / "plot.png"
    write_plot(scored, path)
    with Image.open(path) as image:
        colours = {colour for _, colour in image.getcolors(1 << 16) or []}
        assert image.size == (1280, 800)
    assert {(255, 176, 64), (96, 200, 255), (112, 224, 128)} <= colours


def test_a_still_mouth_is_drawn_as_a_level_line_at_the_closed_end(scored: Scored) -> None:
    still = replace(scored.mouth, openings=np.full(60, 0.02), fps=Fraction(30))
    score = judge(still, scored.spoken)
    plot = draw_plot(Scored(score, still, scored.spoken, 0.0))
    bottom = opening_panel(2).bottom
    assert {plot.getpixel((x, bottom)) for x in range(LEFT + 20, RIGHT - 4)} == {MOUTH}


def test_a_plot_is_a_png(scored: Scored, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"only \.png files"):
        write_plot(scored, tmp_path / "plot.gif")
    assert not list(tmp_path.iterdir())
