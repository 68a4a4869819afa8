"""Files in, a score out: the video whose mouth is judged, its sound, and a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from lipstream.avatar.face.finder import FaceFinder
from lipstream.config import Progress
from lipstream.errors import AudioError, FaceError, PictureError
from lipstream.media.audio import AudioChunk
from lipstream.media.audio_reader import AudioFile, open_audio
from lipstream.media.demux import MediaFile, open_media
from lipstream.media.image import Floats, Image
from lipstream.media.resampler import Resampler
from lipstream.media.video_reader import read_clip, read_facts, video_track
from lipstream.score.judgement import Score, judge, liken
from lipstream.score.mouth import MouthTrack, read_mouth
from lipstream.score.sound import Spoken, listen
from lipstream.score.syncnet.distances import Agreement
from lipstream.score.syncnet.evaluation import Network, agreement, open_network
from lipstream.score.syncnet.face_crops import face_crops
from lipstream.timeline import FPS, SAMPLE_RATE

MIN_SECONDS, MAX_SECONDS = 2.0, 600.0  # of a video
MAX_RATE = Fraction(30)  # pictures per second that are read; videos with more are read at `FPS`
MAX_SIDE = 1280  # pixels
MIN_SHARE = 0.5  # of the frames that must show a face
AFTER = 1.0  # seconds of sound after the video's end that are listened to


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A score and the curves that it is of."""

    score: Score
    mouth: MouthTrack
    spoken: Spoken
    start: float  # seconds from the first frame to the sound's first sample


def score_video(
    video: str | Path,
    audio: str | Path | None = None,
    reference: str | Path | None = None,
    syncnet: str | Path | None = None,
    new_progress: Callable[[str], Progress] | None = None,
) -> Scored:
    """Judge the mouth in `video` by its own sound, or by that of `audio`.

    Another sound begins with the first frame. `reference` shows the same face frame by frame
    before its mouth was drawn anew, or as it truly spoke. `syncnet` is a file of SyncNet's weights.
    `new_progress` makes a progress for a label. Raises PictureError, FaceError and AudioError, the
    last one also without any speech; for `syncnet` also CheckpointError and MissingError.
    """
    network = None if syncnet is None else open_network(Path(syncnet))
    video, facts = Path(video), read_facts(video)
    if facts.seconds < MIN_SECONDS:
        raise PictureError(
            f"{video} lasts {float(facts.seconds):.1f} s; a score needs {MIN_SECONDS:g} s and more."
        )
    fps = facts.fps if facts.fps <= MAX_RATE else FPS
    start = 0.0 if audio is not None else sound_start(video)
    spoken = _listen(Path(audio or video), min(float(facts.seconds), MAX_SECONDS) - start + AFTER)
    mouth = _read(video, fps, new_progress and new_progress("reading the mouth"))
    score = judge(mouth, spoken, start)
    if reference is not None:
        other = _read(Path(reference), fps, new_progress and new_progress("reading the reference"))
        score = replace(score, reference=liken(mouth, other))
    if network is not None:
        new_bar = new_progress and new_progress("asking SyncNet")
        found = _agreement(network, video, Path(audio or video), start, new_bar)
        score = replace(score, syncnet=found)
    return Scored(score, mouth, spoken, start)


def sound_start(path: Path) -> float:
    """Seconds from a video's first picture to the first sample of its own sound."""
    with open_media(path, PictureError) as media:
        pictures = _first_time(media, video_track(media))
    with open_media(path, AudioError) as media:
        if not media.container.streams.audio:
            raise media.refusal("has no sound track; give the speech with --audio")
        return _first_time(media, media.container.streams.audio[0]) - pictures


def _agreement(
    network: Network, video: Path, sound: Path, start: float, progress: Progress | None
) -> Agreement:
    faces = face_crops(FaceFinder(), _pictures(video, FPS, progress))
    return agreement(network, faces, _samples(sound, start))


def _samples(path: Path, start: float) -> Floats:
    """(n,) mono at 16 kHz from the first picture on, for a sound that begins `start` s after it."""
    with open_audio(path) as sound:
        resampler = Resampler(sound.sample_rate)
        chunks = _beginning(sound, MAX_SECONDS - start)
        pieces = [resampler.push(chunk.mono()) for chunk in chunks]
    samples = np.concatenate([*pieces, resampler.flush()])
    lead = round(start * SAMPLE_RATE)
    return np.pad(samples, (lead, 0)) if lead > 0 else samples[-lead:]


def _pictures(path: Path, fps: Fraction, progress: Progress | None) -> Iterator[Image]:
    """The pictures of a video; `progress` is called with those done and those expected."""
    expected = round(min(float(read_facts(path).seconds), MAX_SECONDS) * fps)
    for index, image in enumerate(read_clip(path, fps, MAX_SIDE, MAX_SECONDS)):
        yield image
        if progress is not None:
            progress(index + 1, expected)


def _first_time(media: MediaFile, stream: VideoStream | AudioStream) -> float:
    """Seconds; 0 without a time, and for a track of nothing, which its reader refuses."""
    frame = next(media.decode(stream), None)
    if frame is None or frame.pts is None or frame.time_base is None:
        return 0.0
    return float(frame.pts * frame.time_base)


def _listen(path: Path, seconds: float) -> Spoken:
    with open_audio(path) as sound:
        spoken = listen(_beginning(sound, seconds), sound.sample_rate)
    if not spoken.speaks:
        raise AudioError(
            f"no speech is heard in {path}, so nothing can be judged by it; "
            "give the speech with --audio."
        )
    return spoken


def _beginning(sound: AudioFile, seconds: float) -> Iterator[AudioChunk]:
    left = seconds * sound.sample_rate
    for chunk in sound:
        yield chunk
        left -= len(chunk)
        if left <= 0:
            return


def _read(path: Path, fps: Fraction, progress: Progress | None) -> MouthTrack:
    mouth = read_mouth(_pictures(path, fps, progress), fps)
    if not mouth.seen:
        raise FaceError(f"no face is seen in {path}; a score needs one that looks at the camera.")
    if mouth.seen < MIN_SHARE * len(mouth.openings):
        raise FaceError(
            f"{path} shows a face in {mouth.seen} of {len(mouth.openings)} frames only; "
            "cut out the part in which it is seen."
        )
    return mouth
