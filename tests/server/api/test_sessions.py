"""Files that are spoken, figures that pages send, and requests that make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media_files import tone, write_sound, write_video, write_wav
from tests.server.app_client import AppClient, run_client, settle, until


def wav(folder: Path, seconds: float, rate: int = 16_000) -> bytes:
    pcm = np.asarray(tone(seconds, rate) * 32767, np.int16)
    return write_wav(folder / "speech.wav", pcm, rate).read_bytes()


async def speak(
    client: AppClient, made: dict[str, Any], content: bytes, name: str = "a.wav"
) -> Any:
    files = {"file": (name, content)}
    return await client.http.post(made["speech_url"], files=files)


def test_an_audio_file_is_spoken(tmp_path: Path) -> None:
    content = wav(tmp_path, 1.5)

    async def test(client: AppClient) -> None:
        answer = await speak(client, await client.open(), content)
        assert answer.status_code == 202 and answer.json() == {"utterance": 1, "duration_ms": 1500}
        session = client.runtime.sessions[0]
        await until(lambda: session.ends == 1)
        assert len(session.samples) == 72_000 and set(session.rates) == {48_000}
        spoken = np.array(session.samples[4_800:67_200]) / 32767
        assert np.abs(spoken - tone(1.5, 48_000)[4_800:67_200]).max() < 0.01

    run_client(test)


@pytest.mark.parametrize("form", ["mp3", "flac"])
def test_other_formats_are_spoken(tmp_path: Path, form: str) -> None:
    sound = write_sound(tmp_path / f"a.{form}", tone(1, 44_100), 44_100, form).read_bytes()

    async def test(client: AppClient) -> None:
        answer = await speak(client, await client.open(), sound, f"a.{form}")
        assert answer.status_code == 202 and abs(answer.json()["duration_ms"] - 1000) < 60
        await until(lambda: client.runtime.sessions[0].ends == 1)

    run_client(test)


def test_raw_samples_are_spoken(tmp_path: Path) -> None:
    content = np.zeros(24_000, "<i2").tobytes()

    async def test(client: AppClient) -> None:
        made = await client.open()

        async def send(**fields: str) -> Any:
            files = {"file": ("a.pcm", content)}
            return await client.http.post(made["speech_url"], files=files, data=fields)

        answer = await send(audio_format="s16le", sample_rate="24000")
        assert answer.status_code == 202 and answer.json()["duration_ms"] == 1000
        assert "silent" in answer.json()["warning"]
        await until(lambda: client.runtime.sessions[0].ends == 1)
        assert (await send()).status_code == 415
        for fields in ({"audio_format": "s16le"}, {"audio_format": "mp3", "sample_rate": "24000"}):
            assert (await send(**fields)).status_code == 422

    run_client(test)


def test_a_long_file_waits_for_room(tmp_path: Path) -> None:
    content = wav(tmp_path, 90, 8_000)

    async def test(client: AppClient) -> None:
        answer = await speak(client, await client.open(), content)
        assert answer.json() == {"utterance": 1, "duration_ms": 90_000}
        session = client.runtime.sessions[0]
        await until(lambda: session.buffered_ms > 59_000)
        await settle()
        assert session.peak_ms <= 60_000 and session.ends == 0
        session.play(60_000)
        await until(lambda: session.ends == 1)
        assert len(session.samples) == 90 * 48_000

    run_client(test)


def test_files_are_spoken_one_after_the_other_until_an_interrupt(tmp_path: Path) -> None:
    content = wav(tmp_path, 60.2, 8_000)

    async def test(client: AppClient) -> None:
        made = await client.open()
        found = [(await speak(client, made, content)).status_code for _ in range(5)]
        assert found == [202] * 4 + [429]
        session = client.runtime.sessions[0]
        await until(lambda: session.buffered_ms > 59_000)
        assert client.session(made).busy
        await client.http.post(f"/v1/sessions/{made['id']}/interrupt")
        await until(lambda: not client.session(made).busy)
        assert session.ends == 0
        assert (await speak(client, made, content)).status_code == 202

    run_client(test)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("a.wav", b"no sound at all", 415),
        ("a.wav", b"\x89PNG\r\n\x1a\n" + bytes(50), 415),
        ("a.png", b"fLaC" + bytes(50), 415),
        ("a.flac", b"fLaC" + bytes(50), 400),
        ("a.mp3", b"ID3" + bytes(500), 400),
        ("a.wav", b"RIFF\x24\0\0\0WAVEfmt ", 400),
        ("a.wav", b"", 422),
    ],
)
def test_what_is_no_speech_is_refused(name: str, content: bytes, status: int) -> None:
    async def test(client: AppClient) -> None:
        answer = await speak(client, await client.open(), content, name)
        assert answer.status_code == status, answer.text
        assert "/tmp" not in answer.text

    run_client(test)


def test_a_silent_film_cannot_be_spoken(tmp_path: Path) -> None:
    pictures = [np.zeros((48, 64, 3), np.uint8)] * 3
    film = write_video(tmp_path / "film.mp4", pictures, [0, 0.04, 0.08])  # type: ignore[list-item]

    async def test(client: AppClient) -> None:
        answer = await speak(client, await client.open(), film.read_bytes(), "film.mp4")
        assert answer.status_code == 400 and "no sound track" in answer.text

    run_client(test)


def test_a_session_that_ends_meanwhile_says_nothing(tmp_path: Path) -> None:
    content = wav(tmp_path, 61, 8_000)

    async def test(client: AppClient) -> None:
        made = await client.open()
        await speak(client, made, content)
        await client.http.delete(f"/v1/sessions/{made['id']}")
        assert (await speak(client, made, content)).status_code == 404

    run_client(test)


def test_nothing_is_left_of_what_was_spoken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = wav(tmp_path, 1)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    async def test(client: AppClient) -> None:
        made = await client.open()
        await speak(client, made, content)
        await until(lambda: client.runtime.sessions[0].ends == 1)
        await speak(client, made, content[:40])
        await speak(client, made, content)

    run_client(test)
    assert list(folder.iterdir()) == []


def test_figures_of_pages_become_metrics() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        here = f"/v1/sessions/{made['id']}/stats"
        figures = {"fps": 25.0, "av_offset_ms": -12.5, "rtt_ms": None, "newer": [1]}
        assert (await client.http.post(here, json=figures)).status_code == 204
        text = await client.metrics()
        assert 'lipstream_browser_av_offset_ms_bucket{le="-20.0"} 0.0' in text
        assert 'lipstream_browser_av_offset_ms_bucket{le="0.0"} 1.0' in text
        assert "lipstream_browser_round_trip_ms_count 0.0" in text

    run_client(test)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b"null", 422),
        (b'{"fps": "fast"}', 422),
        (b'{"fps": 1e999}', 422),
        (b'{"fps": NaN}', 422),
        (b'{"fps": -1}', 422),
        (b'{"packets_lost": 1e300}', 422),
        (b"[" * 60_000, 400),
        (b"\xff\xfe", 422),
        (b" " * 70_000, 413),
    ],
)
def test_senseless_json_is_refused(content: bytes, status: int) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        headers = {"content-type": "application/json"}
        for path in (f"/v1/sessions/{made['id']}/stats", "/v1/sessions"):
            answer = await client.http.post(path, content=content, headers=headers)
            assert answer.status_code == status, answer.text
            assert set(answer.json()["error"]) == {"code", "message"}

    run_client(test)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"avatar": "nobody"}, 404),
        ({"avatar": ""}, 422),
        ({"avatar": 5}, 422),
        ({"avatar": None}, 422),
        ({"avatar": ["face"]}, 422),
        ({"avatar": "face", "more": 1}, 422),
        ({}, 422),
        ({"avatar": "x" * 129}, 422),
    ],
)
def test_sessions_without_a_known_avatar_are_refused(body: Any, status: int) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/sessions", json=body)
        assert answer.status_code == status
        assert len(client.manager) == 0

    run_client(test)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/v1/sessions", "/healthz", "/"])
def test_methods_that_are_not_there(method: str, path: str) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.request(method, path)
        assert answer.status_code == 405 and answer.headers["Allow"]
        assert answer.json()["error"]["code"] == "method_not_allowed"

    run_client(test)


def test_a_fault_of_the_server_is_reported_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr("tests.server.fake_runtime.FakeRuntime.open_session", broken)

    async def test(client: AppClient) -> None:
        answer = await client.http.post("/v1/sessions", json={"avatar": "face"})
        assert answer.status_code == 500 and answer.json()["error"]["code"] == "internal"
        assert "secret" not in answer.text
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert len(client.manager) == 0

    run_client(test)
