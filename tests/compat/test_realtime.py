"""The original live interface, on both backends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import build_avatar, digest
from lipstream.avatar.storage import save_avatar
from lipstream.compat import realtime
from lipstream.compat.realtime import MAX_AVATARS, OptimizedLipSyncEngine, RealtimeLipSyncEngine
from lipstream.config import AvatarConfig
from lipstream.errors import AudioError, OptionError, PictureError
from lipstream.media.audio import AudioChunk
from lipstream.offline import render_stream
from tests.media_files import tone

if TYPE_CHECKING:
    from lipstream.media.image import Floats, Image
    from lipstream.stream import Segment

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[1] / "data"
EXAMPLES = Path(__file__).parents[2] / "examples"
PORTRAIT = DATA / "portrait.png"  # 256x256


@pytest.fixture(scope="module")
def puppet() -> Iterator[RealtimeLipSyncEngine]:
    with RealtimeLipSyncEngine(backend="puppet") as opened:
        yield opened


@pytest.fixture(scope="module")
def musetalk(models: Path) -> Iterator[RealtimeLipSyncEngine]:
    with RealtimeLipSyncEngine(models, device="cpu", buffer_size=4) as opened:
        yield opened


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def warble(seconds: float, rate: int = 16_000) -> Floats:
    """Something that rises and falls like speech."""
    times = np.arange(round(seconds * rate)) / rate
    return np.asarray(tone(seconds, rate, 220.0) * np.abs(np.sin(9 * times)), np.float32)


async def stream(
    engine: RealtimeLipSyncEngine, chunks: list[Any], avatar: Any = PORTRAIT, rate: int = 16_000
) -> list[Image]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for chunk in [*chunks, None]:
        queue.put_nowait(chunk)
    return [frame async for frame in engine.stream_lipsync(avatar, queue, rate)]


def test_a_hundred_milliseconds_give_two_or_three_frames(puppet: RealtimeLipSyncEngine) -> None:
    avatar, sound = puppet.preprocess_avatar(PORTRAIT), warble(1.0)

    async def speak() -> list[int]:
        counts = []
        for start in range(0, 16_000, 1600):
            frames = await puppet.process_audio_chunk(avatar, sound[start : start + 1600])
            assert {frame.shape for frame in frames} == {(256, 256, 3)}
            counts.append(len(frames))
        return counts

    assert run(speak()) == [2, 3] * 5
    puppet.finish(avatar)


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_streamed_frames_equal_offline_ones(puppet: RealtimeLipSyncEngine, rate: int) -> None:
    sound = warble(0.7, rate)
    chunks = [sound[start : start + rate // 10] for start in range(0, len(sound), rate // 10)]
    streamed = run(stream(puppet, chunks, rate=rate))
    avatar = puppet.preprocess_avatar(PORTRAIT)
    offline = list(render_stream(puppet.engine, avatar, [AudioChunk(sound, rate)]))
    assert len(streamed) == len(offline) == 17
    for one, other in zip(streamed, offline, strict=True):
        assert np.array_equal(one, other.frame)


def test_musetalk_streams_what_it_renders_offline(musetalk: RealtimeLipSyncEngine) -> None:
    sound = warble(0.28)
    streamed = run(stream(musetalk, [sound[:1000], sound[1000:1001], sound[1001:]]))
    avatar = musetalk.preprocess_avatar(PORTRAIT)
    offline = list(render_stream(musetalk.engine, avatar, [AudioChunk(sound, 16_000)]))
    assert len(streamed) == len(offline) == 7
    for one, other in zip(streamed, offline, strict=True):
        # How many share a batch moves float sums a little, and so a rounded value now and then.
        assert np.abs(one.astype(int) - other.frame).max() <= 1


def test_musetalk_answers_a_chunk_at_once(musetalk: RealtimeLipSyncEngine) -> None:
    avatar, sound = musetalk.preprocess_avatar(PORTRAIT), warble(0.2)

    async def speak() -> list[int]:
        return [
            len(await musetalk.process_audio_chunk(avatar, sound[start : start + 1600]))
            for start in (0, 1600)
        ]

    assert run(speak()) == [2, 3]
    musetalk.finish(avatar)


def test_the_optimized_engine_paints_the_same(
    models: Path, musetalk: RealtimeLipSyncEngine
) -> None:
    fast = OptimizedLipSyncEngine(models, device="cpu", buffer_size=4)
    sound = warble(0.12)
    plain, faster = (run(stream(engine, [sound])) for engine in (musetalk, fast))
    assert len(plain) == len(faster) == 3
    for one, other in zip(plain, faster, strict=True):
        # Processors with bfloat16 units use them, which keep 8 bits of each number.
        difference = np.abs(one.astype(int) - other)
        changed = np.abs(one.astype(int) - musetalk.preprocess_avatar(PORTRAIT).frames[0].pixels)
        assert difference.mean() < 0.1 * changed.mean()


def test_the_same_content_is_prepared_once_wherever_it_lies(
    puppet: RealtimeLipSyncEngine, tmp_path: Path
) -> None:
    copy = tmp_path / "other name.png"
    copy.write_bytes(PORTRAIT.read_bytes())
    avatar = puppet.preprocess_avatar(PORTRAIT)
    assert puppet.preprocess_avatar(copy) is avatar
    save_avatar(avatar, tmp_path / "kept.avatar")
    assert puppet.preprocess_avatar(tmp_path / "kept.avatar") is avatar
    copy.write_bytes((EXAMPLES / "portrait_closed.png").read_bytes())
    assert puppet.preprocess_avatar(copy) is not avatar


def test_kept_avatars_are_bounded(puppet: RealtimeLipSyncEngine, tmp_path: Path) -> None:
    puppet.avatar_cache.clear()
    first = puppet.preprocess_avatar(PORTRAIT)
    for index in range(MAX_AVATARS):
        picture = tmp_path / f"{index}.png"
        # Bytes after the end of a PNG are not read but make it another file.
        picture.write_bytes(PORTRAIT.read_bytes() + bytes([index]))
        puppet.preprocess_avatar(picture)
    assert len(puppet.avatar_cache) == MAX_AVATARS
    assert puppet.preprocess_avatar(PORTRAIT) is not first


def test_frames_are_drawn_while_an_avatar_is_built(
    puppet: RealtimeLipSyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    avatar = puppet.preprocess_avatar(PORTRAIT)
    begun, go_on = threading.Event(), threading.Event()

    def build(path: Path, config: AvatarConfig) -> Avatar:
        begun.set()
        assert go_on.wait(20)
        return build_avatar(path, config)

    async def scene() -> None:
        building = asyncio.ensure_future(
            asyncio.to_thread(puppet.preprocess_avatar, EXAMPLES / "portrait_closed.png")
        )
        assert await asyncio.to_thread(begun.wait, 20)
        assert len(await puppet.process_audio_chunk(avatar, warble(0.1))) == 2
        assert not building.done()
        go_on.set()
        await building

    puppet.avatar_cache.pop(digest(EXAMPLES / "portrait_closed.png", AvatarConfig()), None)
    monkeypatch.setattr(realtime, "build_avatar", build)
    try:
        run(scene())
    finally:
        go_on.set()
        puppet.finish(avatar)


def test_chunks_are_taken_in_the_order_of_the_calls(puppet: RealtimeLipSyncEngine) -> None:
    avatar, sound = puppet.preprocess_avatar(PORTRAIT), warble(1.0)
    chunks = np.split(sound, 10)

    async def one_by_one() -> list[Image]:
        frames = []
        for chunk in chunks:
            frames += await puppet.process_audio_chunk(avatar, chunk)
        return frames

    async def at_once() -> list[Image]:
        calls = [puppet.process_audio_chunk(avatar, chunk, speaker="b") for chunk in chunks]
        return [frame for frames in await asyncio.gather(*calls) for frame in frames]

    expected, frames = run(one_by_one()), run(at_once())
    puppet.finish(avatar)
    puppet.finish(avatar, "b")
    assert len(expected) == len(frames) == 25
    assert all(np.array_equal(one, other) for one, other in zip(expected, frames, strict=True))


def test_a_failure_belongs_to_the_chunk_that_caused_it(
    puppet: RealtimeLipSyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = puppet.engine.open_stream(puppet.preprocess_avatar(PORTRAIT))
    push_now = stream.push_now

    def failing(chunk: AudioChunk) -> list[Segment]:
        if len(chunk) == 1600:
            raise RuntimeError("broken")
        return push_now(chunk)

    monkeypatch.setattr(stream, "push_now", failing)
    speech = realtime._Speech(stream)

    async def append() -> list[Future[list[Segment]]]:
        sounds = (warble(0.1), warble(0.2))
        return [speech.append(AudioChunk(sound, 16_000)) for sound in sounds]

    turns = run(append())
    assert sum(segment.frame_count for segment in speech.segments(turns[1])) == 5
    with pytest.raises(RuntimeError, match="broken"):
        speech.segments(turns[0])


def test_two_speakers_with_one_avatar_have_names_or_are_refused(
    puppet: RealtimeLipSyncEngine,
) -> None:
    avatar, sound = puppet.preprocess_avatar(PORTRAIT), warble(0.4)

    async def speak(turn: asyncio.Condition, mine: bool, speaker: str | None) -> list[Image]:
        frames: list[Image] = []
        for chunk in np.split(sound, 4):
            async with turn:
                await turn.wait_for(lambda: turns[0] is mine)
                frames += await puppet.process_audio_chunk(avatar, chunk, speaker=speaker)
                turns[0] = not mine
                turn.notify_all()
        return frames

    async def scene(*names: str | None) -> list[Any]:
        turn = asyncio.Condition()
        tasks = [
            asyncio.ensure_future(speak(turn, mine, name))
            for mine, name in zip((True, False), names, strict=True)
        ]
        done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return [task.result() for task in tasks if task in done]

    turns = [True]
    with pytest.raises(OptionError, match="speaker="):
        run(scene(None, None))
    turns = [True]
    one, other = run(scene("one", "other"))
    assert len(one) == len(other) == 10
    assert all(np.array_equal(mine, yours) for mine, yours in zip(one, other, strict=True))
    for speaker in (None, "one", "other"):
        puppet.finish(avatar, speaker)


def test_an_empty_utterance_has_no_frames(puppet: RealtimeLipSyncEngine) -> None:
    assert run(stream(puppet, [])) == []


def test_a_missing_picture_is_one_sentence(puppet: RealtimeLipSyncEngine, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"nobody\.png does not exist; check the name"):
        puppet.preprocess_avatar(tmp_path / "nobody.png")


def test_bad_sound_is_refused_in_words(puppet: RealtimeLipSyncEngine) -> None:
    avatar = puppet.preprocess_avatar(PORTRAIT)
    with pytest.raises(AudioError, match="NaN"):
        run(puppet.process_audio_chunk(avatar, np.full(1600, np.nan, np.float32)))
    with pytest.raises(OptionError, match="buffer_size"):
        RealtimeLipSyncEngine(backend="puppet", buffer_size=0)
