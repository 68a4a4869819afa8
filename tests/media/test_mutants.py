"""Whatever is done to a file, it gives a result or one sentence: never a bug, never a crash."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from lipstream.avatar.builder import build_avatar
from lipstream.avatar.picture import read_picture
from lipstream.config import AvatarConfig
from lipstream.errors import LipstreamError
from lipstream.media.audio_reader import open_audio
from lipstream.media.pictures.picture_file import picture_kind
from lipstream.media.video_reader import read_clip
from tests.media.mutants import mutants, write_originals

COUNT = 300
CONFIG = AvatarConfig(max_seconds=20)
SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".wma", ".ogg", ".aiff", ".aac", ".caf")


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_originals(tmp_path_factory.mktemp("originals"))


def see(path: Path) -> int:
    """The number of pictures in a file."""
    if picture_kind(path) == "still":
        read_picture(path, CONFIG)
        return 1
    return sum(1 for _ in read_clip(path, max_seconds=CONFIG.max_seconds))


def hear(path: Path) -> int:
    """The number of samples in a file."""
    with open_audio(path) as audio:
        return sum(len(chunk) for chunk in audio)


def test_the_originals_are_sound(originals: list[Path]) -> None:
    assert len(originals) > 30
    for path in originals:
        assert (hear if path.suffix in SOUNDS else see)(path) > 0


@pytest.mark.slow
def test_damage_gives_a_result_or_one_sentence(originals: list[Path], tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    for name, content in mutants(originals, COUNT):
        path = tmp_path / name
        path.write_bytes(content)
        for use in (see, hear, lambda path: build_avatar(path, CONFIG)):
            try:
                use(path)
                outcomes["result"] += 1
            except LipstreamError as error:
                assert str(path) in str(error) and "\n" not in str(error)
                outcomes["sentence"] += 1
        path.unlink()
    assert min(outcomes.values()) > COUNT / 5  # neither too mild nor too hard
