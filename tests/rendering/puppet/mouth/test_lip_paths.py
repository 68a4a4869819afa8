"""Edges of lips are found by where the colour of the lip ends, and paths are the cheapest ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lipstream.rendering.puppet.mouth.lip_paths import cheapest_path, edge_strength, read_around

LIP, TEETH, DARK = (
    np.array(colour, np.float32) for colour in ((45, 30, 15), (80, 2, 10), (8, 4, 2))
)


def test_the_lip_ends_where_teeth_begin_and_not_where_the_dark_behind_them_does() -> None:
    colours = np.array([[LIP] * 8 + [TEETH] * 8 + [DARK] * 8])
    strength = edge_strength(colours, LIP, 2)[0]
    assert strength[7:9].min() == strength.max()
    assert strength[14:18].max() < 0.2 * strength.max()


@given(st.integers(0, 9), st.lists(st.integers(-1, 1), min_size=1, max_size=40))
def test_a_cheap_way_is_found(start: int, steps: list[int]) -> None:
    way = np.clip(np.cumsum([start, *steps]), 0, 9)
    cost = np.ones((len(way), 10))
    cost[np.arange(len(way)), way] = 0
    assert np.array_equal(cheapest_path(cost, step_cost=0.01), way)


def test_points_beyond_the_picture_read_its_edge() -> None:
    image = np.full((20, 30, 3), 7, np.uint8)
    points = np.array([[[-50, -5], [10, 10], [99, 40]]], np.float32)
    assert np.allclose(read_around(image, points, 1.0), 7)
