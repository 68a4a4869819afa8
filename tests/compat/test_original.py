"""Every method of the original interface, by position and by its keywords, on both backends."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from lipstream import (
    AudioChunk,
    Avatar,
    BatchLipSyncProcessor,
    MuseTalkInference,
    OptimizedLipSyncEngine,
    OptionError,
    RealtimeLipSyncEngine,
)
from lipstream.avatar.builder import build_avatar
from tests.media_files import tone

if TYPE_CHECKING:
    from lipstream.media.image import Floats

PORTRAIT = Path(__file__).parents[1] / "data" / "portrait.png"  # 256x256
CLIP = Path(__file__).parents[2] / "examples" / "idle.mp4"
SOUND = tone(0.2, 16_000)
BACKENDS = ("puppet", pytest.param("musetalk", marks=pytest.mark.slow))


@pytest.fixture(scope="module", params=BACKENDS)
def inference(request: pytest.FixtureRequest) -> Iterator[MuseTalkInference]:
    if request.param == "puppet":
        opened = MuseTalkInference(None, None, "cpu", backend="puppet")
    else:
        folder = request.getfixturevalue("models") / "musetalkV15"
        opened = MuseTalkInference(str(folder / "musetalk.json"), str(folder / "unet.pth"), "cpu")
    with opened:
        assert opened.engine.backend.name == request.param
        yield opened


@pytest.fixture(scope="module", params=BACKENDS)
def realtime(request: pytest.FixtureRequest) -> Iterator[RealtimeLipSyncEngine]:
    if request.param == "puppet":
        opened = RealtimeLipSyncEngine(None, "cpu", 4, backend="puppet")
    else:
        opened = RealtimeLipSyncEngine(str(request.getfixturevalue("models")), "cpu", 4)
    with opened:
        assert opened.engine.backend.name == request.param
        yield opened


def assert_pictures(pictures: Any, count: int) -> None:
    assert isinstance(pictures, list) and len(pictures) == count
    assert {picture.shape for picture in pictures} == {(256, 256, 3)}
    assert {picture.dtype for picture in pictures} == {np.dtype(np.uint8)}


def assert_avatar(avatar: Avatar) -> None:
    assert "face_latent" in avatar and "mask" in avatar and "nothing" not in avatar
    latents, masks = avatar["face_latent"], avatar["mask"]
    assert isinstance(latents, np.ndarray) and isinstance(masks, tuple)
    assert latents.shape == (1, 8, 32, 32) and latents.dtype == np.float32
    assert len(masks) == 1 and masks[0].ndim == 2 and masks[0].dtype == np.uint8 and masks[0].any()
    with pytest.raises(OptionError, match="no 'nothing'"):
        avatar["nothing"]


def test_offline(inference: MuseTalkInference, tmp_path: Path) -> None:
    avatar = inference.preprocess_avatar(str(PORTRAIT))
    assert_avatar(avatar)
    assert_avatar(inference.preprocess_avatar(path=str(PORTRAIT)))
    frames = inference.generate(avatar, SOUND, 16_000)
    assert_pictures(frames, 5)
    source = avatar.frames[0].pixels
    assert not np.array_equal(frames[0], source)
    if inference.engine.backend.name == "musetalk":  # the puppet's head sways
        assert np.array_equal(frames[0][:60], source[:60]), "only the lower face is painted"
    assert_pictures(inference.generate(avatar=avatar, audio=SOUND, sample_rate=16_000), 5)
    first, second = tmp_path / "results" / "a.mp4", tmp_path / "results" / "b" / "c.mp4"
    inference.save_video(frames, str(first), 25)
    inference.save_video(frames=frames, path=str(second), fps=25, audio=SOUND, sample_rate=16_000)
    for path, tracks in ((first, 0), (second, 1)):
        with av.open(str(path)) as movie:
            assert movie.streams.video[0].frames == 5 and len(movie.streams.audio) == tracks


def test_live(realtime: RealtimeLipSyncEngine) -> None:
    async def scene() -> None:
        avatar = realtime.preprocess_avatar(str(PORTRAIT))
        assert_avatar(avatar)
        assert realtime.preprocess_avatar(image_path=str(PORTRAIT)) is avatar
        assert list(realtime.avatar_cache.values()) == [avatar]
        chunks = np.split(SOUND, 2)
        assert_pictures(await realtime.process_audio_chunk(avatar, chunks[0], 16_000), 2)
        pictures = await realtime.process_audio_chunk(
            avatar_data=avatar, audio_chunk=chunks[1], sample_rate=16_000
        )
        assert_pictures(pictures, 3)
        assert len(realtime.frame_buffer) == 4
        assert realtime.frame_buffer[-1] is pictures[-1]
        realtime.finish(avatar)
        by_position = realtime.stream_lipsync(str(PORTRAIT), queue_of(chunks))
        assert_pictures([picture async for picture in by_position], 5)
        by_keyword = realtime.stream_lipsync(
            avatar_path=str(PORTRAIT), audio_stream=queue_of(chunks)
        )
        pictures = [picture async for picture in by_keyword]
        assert_pictures(pictures, 5)
        assert realtime.frame_buffer[-1] is pictures[-1]

    asyncio.run(scene())


def queue_of(chunks: list[Floats]) -> asyncio.Queue[Any]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for chunk in [*chunks, None]:
        queue.put_nowait(chunk)
    return queue


def test_batches(realtime: RealtimeLipSyncEngine) -> None:
    avatar = realtime.preprocess_avatar(PORTRAIT)
    stream = realtime.engine.open_stream(avatar)
    segments = stream.push(AudioChunk(SOUND, 16_000)) + stream.end()
    encoded = realtime.engine.backend.encoder.encode([segment.context for segment in segments])
    features = np.concatenate(encoded)
    batched = BatchLipSyncProcessor(realtime, 4).process_batch(avatar, features)
    assert_pictures(batched, 5)
    single = BatchLipSyncProcessor(engine=realtime, batch_size=1)
    alone = single.process_batch(avatar_data=avatar, audio_features=list(features))
    for one, other in zip(batched, alone, strict=True):
        # How many share a batch moves float sums a little, and so a rounded value now and then.
        assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_optimized_engine_is_called_the_same(backend: str, models: Path) -> None:
    folder = models if backend == "musetalk" else None
    with OptimizedLipSyncEngine(
        model_path=folder, device="cpu", buffer_size=2, backend=backend
    ) as engine:
        avatar = engine.preprocess_avatar(PORTRAIT)
        frames = asyncio.run(engine.process_audio_chunk(avatar, SOUND))
        assert_pictures(frames, 5)
        assert len(engine.frame_buffer) == 2


def test_the_puppets_arrays_show_the_face_frame_by_frame() -> None:
    with MuseTalkInference(backend="puppet") as inference:
        avatar = inference.preprocess_avatar(CLIP)
        latents, masks = avatar["face_latent"], avatar["mask"]
        assert isinstance(latents, np.ndarray)
        assert latents.shape == (len(avatar.frames), 8, 32, 32) and len(masks) == len(latents)
        assert np.all(np.abs(latents) <= 1)
        assert np.all(latents[:, :3, 16:] == -1), "the lower half is black"
        assert np.array_equal(latents[:, :4, :16], latents[:, 4:, :16])
        assert not np.array_equal(latents[0], latents[-1])
        assert not avatar.extras, "nothing more is saved with it"
    assert "face_latent" not in build_avatar(PORTRAIT)


def test_the_puppets_arrays_need_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import lipstream\n"
        "inference = lipstream.MuseTalkInference(backend='puppet')\n"
        f"avatar = inference.preprocess_avatar({str(PORTRAIT)!r})\n"
        "print(avatar['face_latent'].shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "(1, 8, 32, 32)"


def test_a_backend_that_was_not_chosen_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lipstream"):
        with MuseTalkInference(device="cpu") as inference:
            assert inference.engine.backend.name == "puppet"
            assert repr(inference) == "MuseTalkInference(Engine(puppet, 25 fps))"
    assert "the puppet backend was taken" in caplog.text
