"""Whisper with learned weights: synthetic ones cannot show what is near for a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="Whisper needs torch")
pytest.importorskip("transformers", reason="Whisper is compared with that of transformers")

import torch
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder as TheirEncoder

from benchmarks.clips import joined_speech
from benchmarks.cpu.excerpts import distances, file_tokens, live_windows, rows
from lipstream.speech.musetalk.audio_windows import AudioWindowEncoder
from lipstream.speech.musetalk.backbone import PIECE
from lipstream.speech.musetalk.whisper import WhisperSpeech, log_mel
from lipstream.timeline import SAMPLE_RATE
from tests.real_whisper import (
    ABSENT,
    encoder_of,
    installed_file,
    load_speech,
    read_variables,
    write_whisper,
)

if TYPE_CHECKING:
    from lipstream.media.image import Floats

pytestmark = pytest.mark.real
SECONDS = 40  # a whole piece and a third of the next
CHOSEN = range(10, 25 * SECONDS, 28)  # frames whose segments are compared


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> WhisperSpeech:
    source = installed_file()
    if source is None:
        pytest.skip(ABSENT)
    return load_speech(write_whisper(source, tmp_path_factory.mktemp("whisper")))


@pytest.fixture(scope="module")
def sound() -> Floats:
    return joined_speech(SECONDS)


@pytest.fixture(scope="module")
def of_a_file(network: WhisperSpeech, sound: Floats) -> Floats:
    return file_tokens(network, sound)


def test_states_are_those_of_transformers(network: WhisperSpeech, sound: Floats) -> None:
    source = installed_file()
    assert source is not None
    state, config = encoder_of(read_variables(source))
    theirs: Any = TheirEncoder(WhisperConfig(**config)).train(False)
    theirs.load_state_dict({key.removeprefix("model.encoder."): v for key, v in state.items()})
    mel = log_mel(torch.from_numpy(sound[:PIECE])[None])
    with torch.inference_mode():
        expected = torch.stack(theirs(mel, output_hidden_states=True).hidden_states, 2)
        found = network.encoder(mel)
    assert float((found - expected).abs().max()) < 1e-5
    assert float(expected.abs().max()) > 5  # it is no network of small numbers


@pytest.mark.parametrize(
    ("context", "look_ahead_ms", "first_layer", "every_layer"),
    [(None, 0, 0.05, 0.45), (5, 0, 0.1, 0.45), (5, 80, 0.1, 0.35)],
)
def test_live_speech_is_heard_nearly_as_in_a_file(
    network: WhisperSpeech,
    sound: Floats,
    of_a_file: Floats,
    context: int | None,
    look_ahead_ms: int,
    first_layer: float,
    every_layer: float,
) -> None:
    live = AudioWindowEncoder.live(
        network,
        context=None if context is None else context * SAMPLE_RATE,
        look_ahead=look_ahead_ms * SAMPLE_RATE // 1000,
    )
    heard = [one for one in live_windows(live, sound) if one.frames.start in CHOSEN]
    found = np.concatenate([live.encode([one])[0] for one in heard])
    expected = rows(of_a_file, [one.frames for one in heard])
    distance = distances(found, expected, network)
    assert distance.layers[0] < first_layer
    assert distance.all < every_layer
