"""A folder becomes an avatar's as a whole, and nothing else in it is ever lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lipstream.avatar.atomic_folder import check_folder, replaced
from lipstream.errors import OptionError, OutputError

INDEX = json.dumps({"format": "lipstream avatar"})
OLD = {"avatar.json": INDEX, "landmarks.npz": "old", "frames/000000.png": "old"}
NEW = {
    "avatar.json": INDEX,
    "landmarks.npz": "new",
    "frames/000000.jpg": "new",
    "frames/000001.jpg": "new",
    "extras/puppet.npz": "new",
}


class Interruption(BaseException):
    """Like KeyboardInterrupt, which pytest keeps for itself."""


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def save(folder: str | Path) -> None:
    with replaced(folder) as fresh:
        fill(fresh, NEW)


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize("older", [None, {}, OLD, NEW])
def test_a_folder_is_made_filled_or_replaced(tmp_path: Path, older: dict[str, str] | None) -> None:
    folder = tmp_path / "people" / "anna"
    if older is not None:
        folder.mkdir(parents=True)
        fill(folder, older)
    check_folder(folder)
    save(folder)
    assert contents(tmp_path) == {f"people/anna/{name}": text for name, text in NEW.items()}
    assert sorted(os.listdir(folder)) == ["avatar.json", "extras", "frames", "landmarks.npz"]
    assert os.listdir(folder.parent) == ["anna"]


@pytest.mark.parametrize("name", [".", "sub/..", "../anna"])
@pytest.mark.parametrize("older", [{}, OLD])
def test_the_current_folder_stays_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, older: dict[str, str]
) -> None:
    folder = tmp_path / "anna"
    folder.mkdir()
    monkeypatch.chdir(fill(folder, older))
    save(name)
    assert contents(Path()) == contents(folder) == NEW


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("thesis.docx", r"anna holds thesis\.docx besides .* or move thesis\.docx elsewhere"),
        (".git/config", r"anna holds \.git besides"),
        ("frames/beach.png", r"anna holds frames/beach\.png besides"),
        ("frames/000000.txt", r"anna holds frames/000000\.txt besides"),
        ("frames/000000.png/a", r"anna holds frames/000000\.png besides"),
        ("extras/notes", "anna holds extras/notes besides"),
        ("landmarks.npz/a", r"anna holds landmarks\.npz besides"),
    ],
)
def test_an_avatar_with_something_else_is_not_replaced(
    tmp_path: Path, name: str, reason: str
) -> None:
    files = {"avatar.json": INDEX, name: "three years of work"}
    folder = fill(tmp_path / "anna", files)
    for attempt in (check_folder, save):
        with pytest.raises(OutputError, match=reason):
            attempt(folder)
    assert contents(folder) == files


@pytest.mark.parametrize(
    "files",
    [
        {"avatar.json": '{"hero": "knight"}', "src/main.c": "x"},
        {"avatar.json": '{"hero": "knight"}'},
        {"avatar.json": "["},
        {"avatar.json": "[" * 100_000},
        {"avatar.json": "[1]"},
        {"avatar.json": INDEX + " " * (4 << 20)},
        {"avatar.json/a": INDEX},
        {"landmarks.npz": "x"},
        {"photo.png": "x"},
    ],
)
def test_a_folder_that_is_no_avatar_is_not_replaced(tmp_path: Path, files: dict[str, str]) -> None:
    folder = fill(tmp_path / "mygame", files)
    for attempt in (check_folder, save):
        with pytest.raises(OutputError, match="mygame exists and is not a prepared avatar"):
            attempt(folder)
    assert contents(folder) == files


@pytest.mark.parametrize("linked", ["anna", "anna/frames", "anna/landmarks.npz"])
def test_links_are_not_followed(tmp_path: Path, linked: str) -> None:
    fill(tmp_path / "anna", OLD)
    (tmp_path / linked).rename(tmp_path / "elsewhere")
    (tmp_path / linked).symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="choose another folder"):
        save(tmp_path / "anna")
    assert contents(tmp_path) == before


def test_a_folder_with_the_source_is_not_replaced(tmp_path: Path) -> None:
    folder = fill(tmp_path / "anna", OLD)
    (tmp_path / "link.png").symlink_to(folder / "frames/000000.png")
    for source in (folder / "frames/000000.png", tmp_path / "link.png"):
        with pytest.raises(OptionError, match=rf"anna contains .*{source.name}; choose another"):
            check_folder(folder, source)
    (tmp_path / "photo.png").touch()
    with pytest.raises(OptionError, match="contains"):
        check_folder(tmp_path, tmp_path / "photo.png")
    check_folder(folder, tmp_path / "photo.png")
    check_folder(folder, folder / "nobody.png")


def test_a_check_changes_nothing_and_sees_what_is_impossible(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for name, reason in (
        ("", "not a prepared"),
        ("notes.txt", "not a prepared"),
        ("notes.txt/a", "not a d"),
        ("x" * 300, "name too long"),
    ):
        with pytest.raises(OutputError, match=reason):
            check_folder(tmp_path / name)
    check_folder(tmp_path / "people" / "anna")
    check_folder(tmp_path / ("x" * 255))
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("name", ["x" * 255, "\N{GRINNING FACE}" * 63])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path: Path, name: str) -> None:
    save(tmp_path / name)
    assert contents(tmp_path / name) == NEW


@pytest.mark.parametrize("count", range(8))
@pytest.mark.parametrize("before", [True, False])
def test_an_older_avatar_survives_an_interrupt_at_any_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, before: bool
) -> None:
    folder, rename, done = fill(tmp_path / "anna", OLD), Path.rename, 0

    def interrupted(path: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if before and done == count + 1:
            raise Interruption
        moved = rename(path, target)
        if not before and done == count + 1:
            raise Interruption
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        if count < 7:
            with pytest.raises(Interruption):
                save(folder)
        else:
            save(folder)
    assert contents(tmp_path) == {
        f"anna/{name}": text for name, text in (OLD if count < 7 else NEW).items()
    }


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    for folder in (tmp_path / "anna", tmp_path / "berta"):
        with pytest.raises(Interruption), replaced(folder) as fresh:
            fill(fresh, NEW)
            raise Interruption
        assert not contents(tmp_path)
        (tmp_path / "berta").mkdir(exist_ok=True)
    assert os.listdir(tmp_path) == ["berta"]
