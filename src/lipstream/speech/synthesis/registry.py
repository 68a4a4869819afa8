"""The synthesizer that a user chose, opened."""

from __future__ import annotations

import os
from importlib.util import find_spec

from lipstream.errors import MissingError, OptionError
from lipstream.installation import install_command
from lipstream.speech.synthesis.base import Synthesizer

EMBEDDED, OFF = "hibari", "off"
KEY, OPENAI_KEY = "LIPSTREAM_TTS_KEY", "OPENAI_API_KEY"  # variables
URL_MODULES = ("httpx", "sentencex")
EMBEDDED_MODULES = ("hibari", "onnxruntime", "sentencex")


def open_synthesizer(
    tts: str | None = None, *, model: str | None = None, voice: str | None = None
) -> Synthesizer | None:
    """Open what turns text into speech.

    `tts` is the base URL of any server that has OpenAI's `/v1/audio/speech`, "hibari" for the
    embedded voice, "off" for none, or None: the embedded voice where it is installed, else none.
    `model`, and `voice` for the default one, are a URL's; None takes LIPSTREAM_TTS_MODEL and
    LIPSTREAM_TTS_VOICE, else what most servers know. Its key comes from LIPSTREAM_TTS_KEY, else
    from OPENAI_API_KEY, which is sent by https or within this machine only.

    MissingError names what to install, OptionError what is wrong with an option.
    """
    tts = None if tts is None else tts.strip()
    if tts == OFF or (tts is None and missing_modules(EMBEDDED_MODULES)):
        return None
    if tts is None or tts == EMBEDDED:
        _check_installed(EMBEDDED_MODULES)
        return _open_embedded()
    if not tts.lower().startswith(("http://", "https://")):
        raise OptionError(f"there is no speech provider {tts!r}; use hibari, off or https://HOST.")
    _check_installed(URL_MODULES)
    return _open_url(tts, model, voice)


def missing_modules(modules: tuple[str, ...]) -> tuple[str, ...]:
    """Those that are not installed."""
    return tuple(name for name in modules if find_spec(name) is None)


def install_voice() -> str:
    """The part of a sentence that says how to install the embedded voice."""
    return f"install the extra `tts` with `{install_command('tts')}`"


def _check_installed(modules: tuple[str, ...]) -> None:
    if missing := missing_modules(modules):
        raise MissingError(f"speech from text needs {' and '.join(missing)}; {install_voice()}.")


def _open_embedded() -> Synthesizer:
    from lipstream.speech.synthesis.embedded import EmbeddedSynthesizer

    return EmbeddedSynthesizer()


def _open_url(url: str, model: str | None, voice: str | None) -> Synthesizer:
    from lipstream.speech.synthesis.openai_http import (
        MODEL,
        VOICE,
        OpenAISynthesizer,
        SpeechEndpoint,
    )

    endpoint = SpeechEndpoint(
        url,
        model or os.environ.get("LIPSTREAM_TTS_MODEL", "").strip() or MODEL,
        voice or os.environ.get("LIPSTREAM_TTS_VOICE", "").strip() or VOICE,
    )
    key = os.environ.get(KEY, "").strip()
    if not key and endpoint.is_private:
        key = os.environ.get(OPENAI_KEY, "").strip()
    return OpenAISynthesizer(endpoint.with_key(key) if key else endpoint)
