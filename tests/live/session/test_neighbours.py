"""Work that cannot be drawn or encoded harms its own session alone."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from lipstream.rendering.registry import Backend
from lipstream.timeline import FPS
from tests.fakes import StripeEncoder, blank_avatar
from tests.live.harness import FailingRenderer, LiveHarness, noise, resampled


def failing(renderer: FailingRenderer, encoder: StripeEncoder | None = None) -> Backend:
    return Backend("failing", encoder or StripeEncoder(), renderer, FPS, 4, "a test")


def test_an_avatar_that_cannot_be_drawn_harms_no_other_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad, good = blank_avatar(), blank_avatar()
    harness = LiveHarness(failing(FailingRenderer(lambda request: request.avatar is bad)))
    with caplog.at_level(logging.CRITICAL):
        recordings = [harness.open(bad), *(harness.open(good) for _ in range(3))]
        harness.run(200)
        for recorded in recordings:
            recorded.speak(noise(24_000, 24_000))
        harness.run(2_500)
    for recorded in recordings:
        # Even the bad one is spoken; its picture is the avatar's own.
        assert np.array_equal(recorded.sound(), resampled(noise(24_000, 24_000)))
    for recorded in recordings[1:]:
        assert all(unit.fresh for unit in recorded.units) and recorded.in_order()
        assert recorded.kinds == ["started", "ended"]
    assert recordings[0].kinds == ["render_failed", "started", "render_failed", "ended"]
    assert not any(unit.fresh for unit in recordings[0].units)


def test_frames_of_speech_that_fail_are_repeated_and_reported_once() -> None:
    full = FailingRenderer(lambda one: one.conditioning is not None and one.blend_weight == 1)
    harness = LiveHarness(failing(full))
    recorded = harness.open()
    harness.run(200)
    recorded.speak(noise(48_000, 48_000))
    harness.run(2_000)
    assert np.array_equal(recorded.sound(), resampled(noise(48_000, 48_000)))
    assert recorded.kinds == ["started", "render_failed", "ended"]
    assert recorded.session.counts.underruns == 0


def test_speech_that_cannot_be_encoded_fails_and_the_next_is_spoken() -> None:
    class BrokenEncoder(StripeEncoder):
        def encode(self, contexts: object) -> list[np.ndarray]:
            if self.broken:
                raise RuntimeError("nothing can be encoded")
            return super().encode(contexts)  # type: ignore[arg-type]

        broken = False

    encoder = BrokenEncoder()
    harness = LiveHarness(failing(FailingRenderer(lambda request: False), encoder))
    recorded, other = harness.open(), harness.open()
    harness.run(200)
    recorded.speak(noise(144_000, 48_000), end=False)
    harness.run(400)
    encoder.broken = True
    harness.run(400)
    encoder.broken = False
    assert recorded.kinds == ["started", "failed"]
    second = noise(9_600, 48_000, 2)
    recorded.speak(second)
    before = len(recorded.spoken)
    harness.run(1_000)
    spoken = np.concatenate([unit.samples for unit in recorded.spoken[before:]])
    assert np.array_equal(spoken, resampled(second))
    assert recorded.kinds == ["started", "failed", "started", "ended"]
    assert all(unit.fresh for unit in other.units)
    assert recorded.in_order()
