"""The option --tts, and what it needs."""

from __future__ import annotations

import re

import pytest

from lipstream.errors import MissingError, OptionError
from lipstream.installation import install_command
from lipstream.speech.synthesis import registry
from lipstream.speech.synthesis.openai_http import OpenAISynthesizer
from lipstream.speech.synthesis.registry import open_synthesizer


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (registry.KEY, registry.OPENAI_KEY, "LIPSTREAM_TTS_MODEL", "LIPSTREAM_TTS_VOICE"):
        monkeypatch.delenv(name, raising=False)


def test_off_is_none() -> None:
    assert open_synthesizer("off") is None


def test_without_the_extra_there_is_none_unless_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    assert open_synthesizer(None) is None
    for tts in ("hibari", "https://here"):
        with pytest.raises(MissingError, match=re.escape(install_command("tts"))):
            open_synthesizer(tts)


def test_another_name_is_refused() -> None:
    with pytest.raises(OptionError, match="there is no speech provider 'piper'"):
        open_synthesizer("piper")


@pytest.mark.parametrize(
    ("url", "keys", "sent"),
    [
        ("https://here", {registry.OPENAI_KEY: "a"}, "a"),
        ("http://localhost:8000", {registry.OPENAI_KEY: "a"}, "a"),
        ("http://here", {registry.OPENAI_KEY: "a"}, None),  # anybody on the way could read it
        ("http://here", {registry.OPENAI_KEY: "a", registry.KEY: " b\n"}, "b"),
        ("https://here", {}, None),
    ],
)
def test_the_key_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, url: str, keys: dict[str, str], sent: str | None
) -> None:
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    synthesizer = open_synthesizer(url, voice="anna")
    assert isinstance(synthesizer, OpenAISynthesizer)
    assert synthesizer.endpoint.key == sent
    assert synthesizer.voices == ("anna",)


@pytest.mark.parametrize("url", ["https://here", "https://here/", "https://here/v1/"])
def test_a_url_may_end_in_v1(url: str) -> None:
    synthesizer = open_synthesizer(url)
    assert isinstance(synthesizer, OpenAISynthesizer)
    assert synthesizer.endpoint.speech_url == "https://here/v1/audio/speech"
