"""The plain puppet really speaks, and both are timed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.cpu.plain_puppet import PlainPuppet, measure_puppet
from lipstream.avatar.builder import open_avatar
from lipstream.timeline import FPS

PORTRAIT = Path(__file__).parents[2] / "data" / "portrait.png"


def test_a_puppet_is_drawn_both_ways() -> None:
    plain, ours = measure_puppet(PORTRAIT, 3)
    assert plain.ratio == 1.0 and ours.name == "puppet"
    assert plain.size == ours.size and min(plain.median, ours.median, ours.encoding) > 0
    assert ours.sessions_per_core > 0


def test_the_plain_puppet_opens_its_mouth() -> None:
    avatar = open_avatar(PORTRAIT)
    plain = PlainPuppet(avatar)
    shut, wide = np.zeros(7, np.float32), np.zeros(7, np.float32)
    wide[0] = 1
    apart = np.abs(plain.draw(0, FPS, wide).astype(int) - plain.draw(0, FPS, shut))
    assert apart.max() > 60
    assert np.array_equal(avatar.frames[0].pixels[0], plain.draw(0, FPS, wide)[0])
