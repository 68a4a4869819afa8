"""The original offline interface, on both backends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.compat.inference import BatchLipSyncProcessor, MuseTalkInference
from lipstream.errors import CheckpointError, MissingError, OptionError
from tests.media_files import tone

DATA = Path(__file__).parents[1] / "data"
PORTRAIT = DATA / "portrait.png"  # 256x256


@pytest.fixture(scope="module")
def puppet() -> Iterator[MuseTalkInference]:
    with MuseTalkInference(backend="puppet") as opened:
        yield opened


@pytest.fixture(scope="module")
def portrait(puppet: MuseTalkInference) -> Avatar:
    return puppet.preprocess_avatar(PORTRAIT)


def test_five_seconds_give_125_frames_of_the_avatars_size(
    puppet: MuseTalkInference, portrait: Avatar
) -> None:
    frames = puppet.generate(portrait, tone(5.0, 16_000), 16_000)
    assert len(frames) == 125
    assert {frame.shape for frame in frames} == {(256, 256, 3)}
    assert {frame.dtype for frame in frames} == {np.dtype(np.uint8)}


def test_a_video_is_saved_with_and_without_sound(
    puppet: MuseTalkInference, portrait: Avatar, tmp_path: Path
) -> None:
    speech = tone(0.4, 24_000)
    frames = puppet.generate(portrait, speech, 24_000)
    silent = puppet.save_video(frames, tmp_path / "a" / "new folder" / "silent.mp4")
    spoken = puppet.save_video(frames, str(tmp_path / "talk.mp4"), 25, speech, 24_000)
    with av.open(str(silent)) as movie:
        assert movie.streams.video[0].frames == 10
        assert not movie.streams.audio
    with av.open(str(spoken)) as movie:
        assert movie.streams.video[0].frames == 10
        assert movie.streams.audio[0].rate == 24_000


def test_batches_are_the_same_as_one_by_one(puppet: MuseTalkInference, portrait: Avatar) -> None:
    rows = np.random.default_rng(0).uniform(0, 1, (7, 7)).astype(np.float32)
    batched = BatchLipSyncProcessor(puppet, batch_size=4).process_batch(portrait, rows)
    single = BatchLipSyncProcessor(puppet.engine, 1).process_batch(portrait, list(rows))
    assert len(batched) == 7
    assert all(np.array_equal(one, other) for one, other in zip(batched, single, strict=True))


def test_misuse_is_refused_in_words(
    puppet: MuseTalkInference, portrait: Avatar, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="no frames to save"):
        puppet.save_video([], tmp_path / "x.mp4")
    with pytest.raises(OptionError, match="sample_rate must be given"):
        frame = np.zeros((8, 8, 3), np.uint8)
        puppet.save_video([frame], tmp_path / "x.mp4", audio=np.zeros(10, np.float32))
    with pytest.raises(OptionError, match="batch_size"):
        BatchLipSyncProcessor(puppet, 0)
    with pytest.raises(OptionError, match="musetalkV15"):
        MuseTalkInference(tmp_path / "musetalk.json", tmp_path / "unet.pth")


def test_a_missing_or_wrong_file_is_named(models: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="lipstream models pull musetalk"):
        MuseTalkInference(musetalk_model=tmp_path / "models" / "musetalkV15" / "unet.pth")
    broken = tmp_path / "broken"
    for path in models.rglob("*"):
        if path.is_file():
            target = broken / path.relative_to(models)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (broken / "musetalkV15" / "unet.pth").write_bytes(b"not weights")
    with pytest.raises(CheckpointError, match=r"unet\.pth"):
        MuseTalkInference(musetalk_model=broken / "musetalkV15" / "unet.pth")
