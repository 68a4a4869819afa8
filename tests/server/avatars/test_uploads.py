"""Uploads are opened by a child process that ends within its limits, whatever happens in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from PIL import Image as Pillow

from lipstream.server.avatars import uploads
from lipstream.server.avatars.sandbox import DecodeJob
from lipstream.server.avatars.uploads import run_isolated, safe_name
from lipstream.server.errors import ApiError
from lipstream.server.settings import MEBIBYTE, UploadLimits
from tests.server.avatars.isolation import LIMITS, hour_of_silence, isolated
from tests.server.avatars.portraits import PORTRAIT


def test_a_name_cannot_take_the_place_of_a_module(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_bytes(PORTRAIT)
    assert isolated(path, "probe")["kind"] == "image"


def test_memory_ends_the_child_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Pillow.new("RGB", (7_000, 7_000)).save(path, compress_level=1)
    with pytest.raises(ApiError) as refused:
        isolated(path, "avatar", UploadLimits(avatar_memory=160 * MEBIBYTE))
    assert refused.value.status_code in (400, 413)
    assert "send a smaller file" in refused.value.detail


@pytest.mark.slow
def test_processor_time_ends_the_child(tmp_path: Path) -> None:
    path = hour_of_silence(tmp_path / "silence.flac", "flac")
    limits = UploadLimits(audio_seconds=10**6, audio_bytes=1 << 40, audio_cpu_s=1)
    with pytest.raises(ApiError) as refused:
        isolated(path, "speech", limits)
    assert "limits of time and memory" in refused.value.detail


def test_the_clock_on_the_wall_ends_the_child(tmp_path: Path) -> None:
    (tmp_path / "face.png").write_bytes(PORTRAIT)
    with pytest.raises(ApiError, match="takes too long"):
        isolated(tmp_path / "face.png", "avatar", UploadLimits(wall_s=0))


@pytest.mark.parametrize(
    ("program", "sentence"),
    [
        ("print('not json')", "the decoder of this file failed; export it again"),
        ("import sys; sys.exit(3)", r"face.png makes its decoder crash \(exit code 3\); export it"),
        ("import os; os.abort()", r"face.png makes its decoder crash \(SIGABRT\); export it"),
        ("import os; os.kill(os.getpid(), 11)", r"decoder crash \(SIGSEGV\); export it"),
        ("import os; os.kill(os.getpid(), 9)", "within the limits of time and memory; send a"),
    ],
)
def test_a_crash_of_the_child_is_told_as_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, sentence: str
) -> None:
    monkeypatch.setattr(uploads, "BOOT", program)
    (tmp_path / "face.png").write_bytes(b"")
    with pytest.raises(ApiError, match=sentence) as refused:
        isolated(tmp_path / "face.png", "probe")
    assert refused.value.status_code == 400


def test_a_bug_in_the_child_is_told_and_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = (
        "import sys; from lipstream.server.avatars import sandbox; "
        "sandbox.probe = lambda job: {}['nothing']; sys.exit(sandbox.main(sys.argv[2]))"
    )
    boot = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    monkeypatch.setattr(uploads, "BOOT", boot + broken)
    (tmp_path / "face.png").write_bytes(b"")
    with pytest.raises(ApiError, match=r"met a bug in lipstream \(KeyError\)") as refused:
        isolated(tmp_path / "face.png", "probe")
    assert (refused.value.status_code, refused.value.code) == (500, "internal")
    assert "KeyError: 'nothing'" in caplog.records[-1].__dict__["trace"]


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('Insufficient memory')"])
def test_a_lack_of_memory_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    boot = (
        "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
        "from lipstream.server.avatars import sandbox\n"
        f"def probe(job): raise {error}\n"
        "sandbox.probe = probe; sys.exit(sandbox.main(sys.argv[2]))"
    )
    monkeypatch.setattr(uploads, "BOOT", boot)
    (tmp_path / "face.png").write_bytes(b"")
    with pytest.raises(ApiError, match="needs too much memory") as refused:
        isolated(tmp_path / "face.png", "probe")
    assert refused.value.status_code == 413


def test_cancelling_ends_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = "import time; print('{\"progress\": [0, 1]}', flush=True); time.sleep(600)"
    monkeypatch.setattr(uploads, "BOOT", sleeps)

    async def run() -> None:
        job, started = DecodeJob("probe", "a", "b", LIMITS, 1), asyncio.Event()
        task = asyncio.create_task(run_isolated(job, tmp_path, lambda *_: started.set()))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


def test_the_child_knows_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPSTREAM_TOKEN", "secret-token")
    monkeypatch.setattr(
        uploads,
        "BOOT",
        "import json, os; print(json.dumps({'done': [n for n in os.environ if 'LIPS' in n]}))",
    )
    (tmp_path / "a").write_bytes(b"")
    assert isolated(tmp_path / "a", "probe") == []


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("face.png", "face.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\face.png", "face.png"),
        ("..", "upload"),
        ("", "upload"),
        (".png", "png"),
        ("-rf.png", "rf.png"),
        ("Ünïcödé face.png", "n_c_d_face.png"),
        ("a" * 300 + ".jpeg", "a" * 60 + ".jpeg"),
        ("a\0b\n.png", "a_b_.png"),
        ("%2e%2e%2f.png", "2e_2e_2f.png"),
    ],
)
def test_names_become_plain(name: str, safe: str) -> None:
    assert safe_name(name) == safe
