"""Files in, a file out: the live path without a clock."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lipstream.avatar.avatar import Avatar
from lipstream.clip_player import ClipPlayer, open_player
from lipstream.config import (
    CLIP_MODES,
    AvatarConfig,
    ClipMode,
    Mp4Config,
    PcmFormat,
    Progress,
)
from lipstream.engine import Engine, Show, open_engine
from lipstream.errors import OptionError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import open_audio
from lipstream.media.caption_file import checked_caption_file, write_captions
from lipstream.media.captions import Caption
from lipstream.media.image import TimedFrame
from lipstream.media.mp4_writer import Mp4Writer, StillPicture
from lipstream.media.output_path import check_not_input, checked_target
from lipstream.rendering.base import StillRenderer
from lipstream.rendering.opencv_threads import one_thread_per_picture
from lipstream.speech.base import ArticulatingEncoder
from lipstream.speech.unheard import UnheardSpeech
from lipstream.stream import Segment
from lipstream.timeline import frame_count

if TYPE_CHECKING:
    from lipstream.speech.synthesis.spoken_text import SpokenText


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The video that `render` wrote."""

    path: Path
    frames: int
    samples: int  # of the audio, per channel, at its own rate
    sample_rate: int
    warnings: tuple[str, ...]  # what could be better about avatar and audio, one sentence each
    captions: tuple[Caption, ...] = ()  # of a text; in samples of the sound


class Sound(Protocol):
    """Sound as it comes, from a file or a text; iterated once."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def channels(self) -> int: ...

    @property
    def duration_hint(self) -> float | None: ...

    def __iter__(self) -> Iterator[AudioChunk]: ...


def render(
    avatar: Avatar | str | Path,
    audio: str | Path | None = None,
    out: str | Path | None = None,
    *,
    text: str | None = None,
    voice: str | None = None,
    tts: str | None = None,
    tts_model: str | None = None,
    captions: str | Path | None = None,
    engine: Engine | None = None,
    avatar_config: AvatarConfig | None = None,
    mp4_config: Mp4Config | None = None,
    pcm: PcmFormat | None = None,
    clip: ClipMode = "ping-pong",
    on_avatar: Progress | None = None,
    on_frame: Progress | None = None,
) -> RenderResult:
    """Write `out`, an mp4 in which the person of `avatar` speaks `audio`, or says `text`.

    `avatar` is a picture, a clip, an .avatar file or an `Avatar`; `audio` any file with sound,
    or raw samples that `pcm` describes. Instead of it, `text` of up to 5000 characters is said by
    `voice` of `tts`: "hibari" for the embedded English voice of the extra `tts`, which is the
    default, or the URL of a server that has OpenAI's `/v1/audio/speech`, which is asked for
    `tts_model`. `captions` names a .vtt or .srt file for its words, which the result has as well.

    The video has exactly floor(seconds * fps) frames, at least one, and the whole sound. `clip` is
    the order of a clip's frames; `once` shows all of them, so that a clip that is longer than the
    sound goes on to its end with a resting mouth, and one that is shorter holds its last picture.

    Memory does not grow with length: a clip of more than `avatar_config.max_seconds` is read while
    it is shown. `out` appears only when it is complete. Without an `engine` the best one of this
    machine is opened, and closed again. `on_avatar` and `on_frame` are called with (done, total or
    None) as frames are prepared and rendered; an exception in them ends the work. Raises
    `LipstreamError`s.
    """
    if clip not in CLIP_MODES:
        raise OptionError(f"there is no clip mode {clip!r}; use {', '.join(CLIP_MODES)}.")
    target, caption_file = _checked_outputs(out, captions, text)
    if not isinstance(avatar, Avatar):
        check_not_input(target, Path(avatar))
    if audio is not None:
        check_not_input(target, Path(audio))
    with contextlib.ExitStack() as opened:
        sound: Sound
        spoken: SpokenText | None = None
        if text is not None and audio is None and pcm is None:
            from lipstream.speech.synthesis.spoken_text import open_text

            sound = spoken = opened.enter_context(open_text(text, tts, tts_model, voice))
        elif audio is not None and text is None:
            sound = opened.enter_context(open_audio(audio, pcm))
        else:
            raise OptionError("give either audio or text to render, and pcm with audio only.")
        engine = engine or opened.enter_context(open_engine())
        player = open_player(avatar, clip, engine, avatar_config, on_avatar)
        opened.callback(player.close)
        opened.enter_context(one_thread_per_picture())
        tracks = (sound.sample_rate, sound.channels)
        still = _still_picture(engine, player.avatar)
        writer = Mp4Writer(target, player.avatar.size, engine.fps, tracks, mp4_config, still)
        movie = opened.enter_context(writer)
        speech = _Speech(sound, movie, player, engine.fps)
        before = engine.backend.nonfinite_faces
        shown = render_stream(
            engine, player.avatar, speech, speech.unheard, player.show, parts=still is not None
        )
        frames = _write_frames(shown, movie, speech, on_frame)
        nonfinite = engine.backend.nonfinite_faces - before
        warnings = [*player.warnings(), _nonfinite_warning(nonfinite)]
    warnings.append(speech.unheard.warning("the text" if audio is None else Path(audio).name))
    said: tuple[Caption, ...] = ()
    if spoken is not None:
        warnings.append(spoken.warning)
        said = spoken.captions
    if caption_file is not None:
        write_captions(caption_file, said, sound.sample_rate, speech.samples)
    given = tuple(warning for warning in warnings if warning is not None)
    return RenderResult(target, frames, speech.samples, sound.sample_rate, given, said)


def _write_frames(
    shown: Iterable[TimedFrame], movie: Mp4Writer, speech: _Speech, on_frame: Progress | None
) -> int:
    """Write the frames of the speech; returns how many they are."""
    frames = 0
    for timed in shown:
        if speech.is_over(frames):
            break
        movie.write_frame(timed.frame)
        frames += 1
        if on_frame is not None:
            on_frame(frames, speech.expected)
    return frames


def _checked_outputs(
    out: str | Path | None, captions: str | Path | None, text: str | None
) -> tuple[Path, Path | None]:
    """The places of the video and of its captions."""
    if out is None:
        raise OptionError("render needs out, the name of an mp4 to write.")
    target = checked_target(Path(out))
    if captions is None:
        return target, None
    if text is None:
        raise OptionError("captions are those of a text; give text instead of audio.")
    return target, checked_caption_file(Path(captions))


def _nonfinite_warning(faces: int) -> str | None:
    if faces == 0:
        return None
    were = "face was" if faces == 1 else "faces were"
    return (
        f"{faces} generated {were} not finite, and shown bare or generated again; check the "
        "weights with `lipstream models verify`, or choose another --precision."
    )


def _still_picture(engine: Engine, avatar: Avatar) -> StillPicture | None:
    renderer = engine.backend.renderer
    if avatar.moving or not isinstance(renderer, StillRenderer):
        return None
    moving = renderer.moving_part(avatar)
    return None if moving is None else StillPicture(avatar.frames[0].pixels, moving)


class _Speech:
    """The sound on its way to a stream, and into the movie; silence follows to a clip's end."""

    def __init__(self, sound: Sound, movie: Mp4Writer, player: ClipPlayer, fps: Fraction) -> None:
        self.samples = 0  # of the sound so far
        self.unheard = UnheardSpeech()
        self._sound, self._movie, self._player, self._fps = sound, movie, player, fps
        self._over = False  # the sound

    @property
    def expected(self) -> int | None:
        """The frames there will be, as far as it is known."""
        spoken = None
        if self._over:
            spoken = self._frames
        elif self._sound.duration_hint is not None:
            length = round(self._sound.duration_hint * self._sound.sample_rate)
            spoken = frame_count(length, self._sound.sample_rate, self._fps)
        if spoken is None or self._player.endless:
            return spoken
        return None if self._player.end is None else max(spoken, self._player.end)

    @property
    def _frames(self) -> int:
        return frame_count(self.samples, self._sound.sample_rate, self._fps)

    def __iter__(self) -> Iterator[AudioChunk]:
        for chunk in self._sound:
            self.samples += len(chunk)
            self.unheard.listen(chunk)
            self._movie.write_audio(chunk)
            yield chunk
        self._over = True
        rate, given = self._sound.sample_rate, self.samples
        silence = AudioChunk(np.zeros((rate // 4, self._sound.channels), np.float32), rate)
        while not (self._player.endless or self._reaches(given)):
            given += len(silence)
            yield silence

    def _reaches(self, samples: int) -> bool:
        """Tell whether a stream of so many samples lasts to the end of the clip."""
        end = self._player.end
        return end is not None and frame_count(samples, self._sound.sample_rate, self._fps) >= end

    def is_over(self, frames: int) -> bool:
        """Tell whether so many frames are all: the sound's, and those of a clip shown once."""
        if not self._over or frames < self._frames:
            return False
        end = self._player.end
        return self._player.endless or (end is not None and frames >= end)


def render_stream(
    engine: Engine,
    avatar: Avatar,
    chunks: Iterable[AudioChunk],
    unheard: UnheardSpeech | None = None,
    show: Show | None = None,
    *,
    parts: bool = False,
) -> Iterator[TimedFrame]:
    """The frames of one utterance as its chunks come: the engine at work, without a clock.

    `unheard` is told whether the mouth opens, where the backend knows that. `show` and `parts` are
    those of `Engine.flow`.
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

    return engine.flow(groups(), show, parts=parts)


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
