"""Files that were put in by hand are recognised by size and hash, and misplaced ones refused."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lipstream.errors import CheckpointError
from lipstream.weights.catalogue import MUSETALK, Bundle, Content
from lipstream.weights.placement import check_places, describe_placed, find_placed
from tests.weights.bundle import CONFIG, LARGE, MORE, NET, pulled
from tests.weights.hub import FakeHub

WEIGHTS = "net/weights.bin"
PARTS = {
    "net": replace(
        NET,
        published={
            "config.json": Content(len(CONFIG), hashlib.sha256(CONFIG).hexdigest()),
            "deep/weights.bin": Content(len(LARGE), hashlib.sha256(LARGE).hexdigest()),
        },
        other_folder="network",
    ),
    "more": replace(MORE, published={"more.bin": Content(5)}, alternatives=("more.pth",)),
}
BUNDLE = Bundle("talk", "for tests", PARTS)


def place(folder: Path, target: str, content: bytes) -> Path:
    path = folder / target
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def described(folder: Path) -> str:
    ((_, outcome),) = describe_placed(BUNDLE, folder)
    return outcome


@pytest.mark.parametrize("target", [WEIGHTS, "net/config.json", "network/weights.bin"])
def test_a_published_file_is_recognised_in_every_place(folder: Path, target: str) -> None:
    path = place(folder, target, CONFIG if target.endswith("json") else LARGE)
    assert list(describe_placed(BUNDLE, folder)) == [(path, "as it was published")]
    check_places(BUNDLE, folder)


def test_other_files_are_described(folder: Path) -> None:
    path = place(folder, WEIGHTS, LARGE[:-1] + b"!")
    assert "of the published size but damaged or another network (its SHA-256" in described(folder)
    path.write_bytes(LARGE[:-1])
    assert described(folder) == (
        "put there by hand, not the published file but one of your own, of examples/tiny, or cut "
        f"short ({len(LARGE) - 1} bytes, not {len(LARGE)})"
    )
    check_places(BUNDLE, folder)  # it may be the user's own
    path.unlink()
    path = place(folder, "more/more.bin", b"12345")
    assert "of the published size; its hash is not known" in described(folder)
    path.unlink()
    place(folder, "more/more.pth", b"12345")
    assert described(folder) == "put there by hand, no hash is known"


def test_weights_in_the_place_of_others_are_named(folder: Path) -> None:
    path = place(folder, WEIGHTS, b"12345")
    with pytest.raises(CheckpointError) as caught:
        check_places(BUNDLE, folder)
    assert str(caught.value) == (
        f"{path} has the 5 bytes of more/more.bin (more), not those of net: move it there or "
        "delete it, and run 'lipstream models pull talk'."
    )


def test_a_config_of_another_size_is_the_users_affair(folder: Path) -> None:
    place(folder, "net/config.json", b"12345")
    check_places(BUNDLE, folder)


def test_pulled_files_are_compared_with_their_record_only(hub: FakeHub, folder: Path) -> None:
    pulled(folder)
    assert find_placed(BUNDLE, folder) == []


@pytest.mark.parametrize("target", ["musetalkV15/unet.pth", "musetalk/pytorch_model.bin"])
def test_the_two_versions_of_musetalk_are_told_apart(folder: Path, target: str) -> None:
    path = place(folder, target, b"")
    (published,) = [file.published for file in MUSETALK.files if file.target == target]
    (other,) = [
        file.published
        for file in MUSETALK.files
        if file.part in ("v1", "v15") and file.target != target and "json" not in file.name
    ]
    assert published is not None and other is not None
    os.truncate(path, published.size)  # a hole, which takes no room
    check_places(MUSETALK, folder)
    os.truncate(path, other.size)
    with pytest.raises(CheckpointError, match=f"has the {other.size} bytes of musetalk"):
        check_places(MUSETALK, folder)
