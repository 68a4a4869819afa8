from __future__ import annotations

from lipstream.speech.articulation.noise_gate import NoiseFloor, NoiseGate


def run(gate: NoiseGate, loudness: float, presence: float, steps: int) -> float:
    for _ in range(steps):
        opening = gate.step(loudness, presence)
    return opening


def test_the_floor_starts_where_the_stream_starts_and_falls_fast() -> None:
    floor = NoiseFloor()
    assert not floor.step(-20.0)
    for _ in range(15):
        floor.step(-60.0)
    assert floor.level is not None and floor.level < -59
    assert floor.step(-40.0)


def test_the_floor_rises_slower_than_a_sentence_lasts() -> None:
    floor = NoiseFloor()
    for _ in range(50):
        floor.step(-60.0)
    assert all(floor.step(-30.0) for _ in range(150))  # three seconds without a pause


def test_a_stream_begins_shut_and_opens_within_two_steps_of_speech() -> None:
    gate = NoiseGate()
    assert run(gate, -60.0, 0.0, 10) == 0.0
    assert run(gate, -30.0, 1.0, 2) == 1.0


def test_a_short_dip_between_sounds_does_not_shut() -> None:
    gate = NoiseGate()
    run(gate, -60.0, 0.0, 10)
    run(gate, -30.0, 1.0, 20)
    assert run(gate, -60.0, 0.9, 5) == 1.0


def test_a_pause_shuts_when_both_measures_agree() -> None:
    gate = NoiseGate()
    run(gate, -60.0, 0.0, 10)
    run(gate, -30.0, 1.0, 20)
    assert run(gate, -60.0, 0.3, 10) == 0.0


def test_the_network_keeps_quiet_speech_in_noise_open() -> None:
    gate = NoiseGate()
    run(gate, -40.0, 0.0, 20)
    run(gate, -36.0, 0.9, 5)
    assert run(gate, -36.0, 0.9, 10) == 1.0


def test_half_a_second_at_the_floor_needs_no_network() -> None:
    gate = NoiseGate()
    run(gate, -60.0, 0.0, 10)
    run(gate, -30.0, 1.0, 20)
    assert run(gate, -60.0, 0.9, 30) == 0.0


def test_a_loud_noise_that_is_no_speech_opens_nothing() -> None:
    gate = NoiseGate()
    run(gate, -60.0, 0.0, 10)
    assert run(gate, -20.0, 0.05, 50) == 0.0
