"""Files in, a file out: the live path without a clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.builder import open_avatar
from lipstream.config import AvatarConfig, Mp4Config, PcmFormat, Progress
from lipstream.engine import Engine, open_engine
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.image import TimedFrame
from lipstream.media.mp4_writer import Mp4Writer
from lipstream.media.output_path import check_not_input, checked_target
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.speech.base import ArticulatingEncoder
from lipstream.speech.unheard import UnheardSpeech
from lipstream.stream import Segment
from lipstream.timeline import frame_count


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The video that `render` wrote."""

    path: Path
    frames: int
    samples: int  # of the audio, per channel, at its own rate
    sample_rate: int
    warnings: tuple[str, ...]  # what could be better about avatar and audio, one sentence each


def render(
    avatar: Avatar | str | Path,
    audio: str | Path,
    out: str | Path,
    *,
    engine: Engine | None = None,
    avatar_config: AvatarConfig | None = None,
    mp4_config: Mp4Config | None = None,
    pcm: PcmFormat | None = None,
    on_avatar: Progress | None = None,
    on_frame: Progress | None = None,
) -> RenderResult:
    """Write `out`, an mp4 in which the person of `avatar` speaks `audio`.

    `avatar` is a picture, a clip, an .avatar file or an `Avatar`; `audio` any file with sound,
    or raw samples that `pcm` describes.
    The video has exactly floor(seconds * fps) frames, at least one, and the whole sound. Memory
    does not grow with its length. `out` appears only when it is complete. Without an `engine` the
    best one of this machine is opened, and closed again. `on_avatar` and `on_frame` are called with
    (done, total or None) as frames are prepared and rendered; an exception in them ends the work.
    Raises `LipstreamError`s.
    """
    audio, target = Path(audio), checked_target(Path(out))
    check_not_input(target, audio, *([] if isinstance(avatar, Avatar) else [Path(avatar)]))
    with contextlib.ExitStack() as opened:
        sound = opened.enter_context(open_audio(audio, pcm))
        if not isinstance(avatar, Avatar):
            avatar = open_avatar(avatar, avatar_config, on_avatar)
        engine = engine or opened.enter_context(open_engine())
        avatar = engine.prepare(avatar, on_avatar)
        opened.enter_context(one_thread_per_picture())
        tracks = (sound.sample_rate, sound.channels)
        writer = Mp4Writer(target, avatar.size, engine.fps, tracks, mp4_config)
        movie = opened.enter_context(writer)
        expected = None
        if sound.duration_hint is not None:
            length = round(sound.duration_hint * sound.sample_rate)
            expected = frame_count(length, sound.sample_rate, engine.fps)
        frames = samples = 0
        unheard = UnheardSpeech()

        def written() -> Iterator[AudioChunk]:
            nonlocal samples
            for chunk in sound:
                samples += len(chunk)
                unheard.listen(chunk)
                movie.write_audio(chunk)
                yield chunk

        for timed in render_stream(engine, avatar, written(), unheard):
            movie.write_frame(timed.frame)
            frames += 1
            if on_frame is not None:
                on_frame(frames, expected)
    warnings = list(avatar.report.warnings)
    if (warning := unheard.warning(audio.name)) is not None:
        warnings.append(warning)
    return RenderResult(target, frames, samples, sound.sample_rate, tuple(warnings))


def render_stream(
    engine: Engine,
    avatar: Avatar,
    chunks: Iterable[AudioChunk],
    unheard: UnheardSpeech | None = None,
) -> Iterator[TimedFrame]:
    """The frames of one utterance as its chunks come: the engine at work, without a clock.

    `unheard` is told whether the mouth opens, where the backend knows that.
    """
    stream = engine.open_stream(avatar)

    def groups() -> Iterator[list[Segment]]:
        for chunk in chunks:
            yield from _grouped(engine, watched(stream.push(chunk)))
        yield from _grouped(engine, watched(stream.end()))

    def watched(segments: list[Segment]) -> list[Segment]:
        encoder = engine.backend.encoder
        if unheard is not None and isinstance(encoder, ArticulatingEncoder):
            opened = any(encoder.opens(segment.context) for segment in segments)
            unheard.opened = unheard.opened or opened
        return segments

    return engine.flow(groups())


def _grouped(engine: Engine, segments: list[Segment]) -> Iterator[list[Segment]]:
    """Segments in groups of about a batch of frames; memory holds one group."""
    group: list[Segment] = []
    for segment in segments:
        group.append(segment)
        if sum(waiting.frame_count for waiting in group) >= engine.backend.batch:
            yield group
            group = []
    if group:
        yield group
