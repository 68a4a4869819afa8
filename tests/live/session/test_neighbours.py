"""What cannot be drawn or heard harms its own session alone."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from lipstream.rendering.registry import Backend
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, blank_avatar
from tests.live.harness import FussyRenderer, Stage, babble, listener_hears


def fussy(renderer: FussyRenderer, encoder: StripeEncoder | None = None) -> Backend:
    return Backend("fussy", encoder or StripeEncoder(), renderer, FPS, 4, "a test")


def test_an_avatar_that_cannot_be_drawn_harms_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = blank_avatar(), blank_avatar()
    stage = Stage(fussy(FussyRenderer(lambda request: request.avatar is bad)))
    with caplog.at_level(logging.CRITICAL):
        players = [stage.player(bad), *(stage.player(good) for _ in range(3))]
        stage.run(200)
        for player in players:
            player.say(babble(24_000, 24_000))
        stage.run(2_500)
    for player in players:
        # Even the bad one is heard; its picture is the avatar's own.
        assert np.array_equal(player.sound(), listener_hears(babble(24_000, 24_000)))
    for player in players[1:]:
        assert all(unit.fresh for unit in player.units) and player.in_order()
        assert player.kinds == ["started", "ended"]
    assert players[0].kinds == ["failed", "started", "failed", "ended"]
    assert not any(unit.fresh for unit in players[0].units)


def test_frames_of_speech_that_fail_are_repeated_and_told_once() -> None:
    full = FussyRenderer(lambda one: one.conditioning is not None and one.blend_weight == 1)
    stage = Stage(fussy(full))
    player = stage.player()
    stage.run(200)
    player.say(babble(48_000, 48_000))
    stage.run(2_000)
    assert np.array_equal(player.sound(), listener_hears(babble(48_000, 48_000)))
    assert player.kinds == ["started", "failed", "ended"]
    assert player.session.counts.underruns == 0


def test_speech_that_cannot_be_heard_is_given_up_and_the_next_is_spoken() -> None:
    class Deaf(StripeEncoder):
        def encode(self, contexts: object) -> list[np.ndarray]:
            if self.deaf:
                raise RuntimeError("nothing can be heard")
            return super().encode(contexts)  # type: ignore[arg-type]

        deaf = False

    encoder = Deaf()
    stage = Stage(fussy(FussyRenderer(lambda request: False), encoder))
    player, other = stage.player(), stage.player()
    stage.run(200)
    player.say(babble(144_000, 48_000), end=False)
    stage.run(400)
    encoder.deaf = True
    stage.run(400)
    encoder.deaf = False
    assert player.kinds == ["started", "failed"]
    second = babble(9_600, 48_000, 2)
    player.say(second)
    before = len(player.spoken)
    stage.run(1_000)
    said = np.concatenate([unit.samples for unit in player.spoken[before:]])
    assert np.array_equal(said, listener_hears(second))
    assert player.kinds == ["started", "failed", "started", "ended"]
    assert all(unit.fresh for unit in other.units)
    assert player.in_order()
