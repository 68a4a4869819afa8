"""The other tracks of a file, and their order, change neither its pictures nor its sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from lipstream.media.audio_reader import open_audio
from lipstream.media.video_reader import read_clip
from tests.media_files import grey_levels, numbers, tone

COUNT = 30  # pictures, and as long a sound
RATE = 48_000


def write_movie(path: Path, order: str = "va", beside: str = "", count: int = COUNT) -> Path:
    """Pictures and sound in tracks of this `order`, and a track of the kind `beside`."""
    if beside and not hasattr(av.container.OutputContainer, "set_chapters"):
        pytest.skip("needs PyAV 18 to write other tracks")
    with av.open(str(path), "w") as container:
        tracks: dict[str, Any] = {}
        for kind in order:
            rate = 25 if kind == "v" else RATE
            tracks[kind] = container.add_stream("libx264" if kind == "v" else "aac", rate=rate)
        pictures = grey_levels(count)
        video, sound = tracks["v"], tracks["a"]
        video.height, video.width = pictures[0].shape[:2]
        video.pix_fmt, video.options = "yuv420p", {"crf": "5", "bf": "3"}
        sound.layout = "mono"
        if beside == "timecode":
            video.metadata["timecode"] = "10:00:00:00"
        elif beside == "chapters":
            second = Fraction(1, 1)
            container.set_chapters(
                [{"id": 1, "start": 0, "end": 1, "time_base": second, "metadata": {"title": "a"}}]
            )
        elif beside == "attachment":
            container.add_attachment("face.ttf", "application/x-truetype-font", b"\0" * 500)
        elif beside == "data":
            container.add_data_stream("klv")
        elif beside == "subtitles":
            text = container.add_mux_stream("subrip")
            packet = av.Packet(b"Hello.")
            packet.stream, packet.pts, packet.duration = text, 0, 500
            packet.time_base = Fraction(1, 1000)
            container.start_encoding()
            container.mux(packet)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        wave = av.AudioFrame.from_ndarray(tone(count / 25, RATE)[None], "fltp", "mono")
        wave.sample_rate, wave.pts = RATE, 0
        container.mux([*video.encode(None), *sound.encode(wave), *sound.encode(None)])
    return path


@pytest.mark.parametrize("order", ["va", "av"])
@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("a.mp4", ""),
        ("a.mkv", ""),
        ("a.mov", "timecode"),
        ("a.mov", "chapters"),
        ("a.mp4", "chapters"),
        ("a.mkv", "attachment"),
        ("a.mkv", "subtitles"),
        ("a.ts", "data"),
    ],
)
def test_other_tracks_and_their_order_change_nothing(
    tmp_path: Path, name: str, beside: str, order: str
) -> None:
    path = write_movie(tmp_path / name, order, beside)
    with av.open(str(path)) as container:
        assert (len(container.streams) > 2) == bool(beside)
    assert numbers(read_clip(path)) == list(range(COUNT))
    with open_audio(path) as audio:
        length = sum(len(chunk) for chunk in audio)
    assert abs(length - COUNT * RATE // 25) <= 2 * 1024  # transport streams keep an encoder's delay


def test_a_sound_file_may_have_chapters(tmp_path: Path) -> None:
    if not hasattr(av.container.OutputContainer, "set_chapters"):
        pytest.skip("needs PyAV 18 to write chapters")
    path = tmp_path / "book.m4b"
    with av.open(str(path), "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        container.set_chapters(
            [{"id": 1, "start": 0, "end": 1, "time_base": Fraction(1), "metadata": {"title": "a"}}]
        )
        frame = av.AudioFrame.from_ndarray(tone(1, RATE)[None], "fltp", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with open_audio(path) as audio:
        assert len(np.concatenate([chunk.samples for chunk in audio])) == RATE
