"""A clip of any rate, turn, shape and size becomes upright pictures at 25 per second."""

from __future__ import annotations

import gc
import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image as Pillow
from PIL import ImageCms

from lipstream.errors import PictureError
from lipstream.media.image import Image
from lipstream.media.video_reader import ClipFacts, read_clip, read_facts
from tests.media_files import grey_levels, numbers, tone, write_sound, write_video


def at(rate: Fraction, count: int) -> list[Fraction]:
    return [index / rate for index in range(count)]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (Fraction(25), Fraction(25)),
        (Fraction(30_000, 1001), Fraction(30_000, 1001)),
        (Fraction(120), Fraction(60)),
        (Fraction(1, 3), Fraction(25)),
    ],
)
def test_the_facts_of_a_clip_are_told(tmp_path: Path, made: Fraction, told: Fraction) -> None:
    path = write_video(tmp_path / "a.mp4", grey_levels(12), at(made, 12))
    facts = read_facts(path)
    assert facts.fps == told
    assert abs(facts.seconds - 12 / made) <= 1 / made + Fraction(1, 25)


def test_the_length_of_a_recording_without_one_is_that_of_its_packets(tmp_path: Path) -> None:
    path = tmp_path / "a.webm"
    pictures = (av.VideoFrame.from_ndarray(picture, "rgb24") for picture in grey_levels(30))
    with av.open(str(path), "w", options={"live": "1"}) as container:  # as browsers record
        stream = container.add_stream("libvpx", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in pictures:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert container.duration is None
    assert abs(read_facts(path).seconds - 3) <= Fraction(1, 10)
    assert read_facts(path).fps == 10


def test_the_length_of_an_animation_is_that_of_its_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    first, *others = [Pillow.fromarray(picture) for picture in grey_levels(4)]
    first.save(path, save_all=True, append_images=others, duration=500)
    assert read_facts(path) == ClipFacts(Fraction(25), Fraction(2))


def refusal(path: Path, **limits: int) -> str:
    with pytest.raises(PictureError) as caught:
        list(read_clip(path, **limits))  # type: ignore[arg-type]
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "rate",
    [Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(60), Fraction(25, 2)],
)
def test_any_rate_keeps_its_speed(tmp_path: Path, rate: Fraction) -> None:
    path = write_video(tmp_path / "a.mp4", grey_levels(48), at(rate, 48))
    shown = numbers(read_clip(path))
    assert abs(len(shown) - 48 / rate * 25) <= 1
    for index, number in enumerate(shown):
        late, tick = Fraction(index, 25) - number / rate, Fraction(1, 10_000)
        assert (
            -Fraction(1, 50) - tick <= late <= max(1 / rate / 2, 1 / rate - Fraction(1, 50)) + tick
        )


def test_variable_rate_keeps_its_speed(tmp_path: Path) -> None:
    """A phone's clip: a picture held for half a second, then quick ones."""
    times = [Fraction(milliseconds, 1_000) for milliseconds in (0, 40, 80, 580, 600, 620, 640)]
    path = write_video(tmp_path / "a.mp4", grey_levels(7, step=20), times)
    shown = numbers(read_clip(path), step=20)
    assert shown[:17] == [0, 1] + [2] * 13 + [4, 6]
    assert set(shown[17:]) <= {6} and len(shown) <= 20


def test_jitter_of_the_clock_repeats_no_picture(tmp_path: Path) -> None:
    times = [Fraction(40 * index + (index % 3) * 5, 1_000) for index in range(20)]
    path = write_video(tmp_path / "a.mp4", grey_levels(20), times)
    assert numbers(read_clip(path)) == list(range(20))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_turned_phone_gives_an_upright_picture(tmp_path: Path, degrees: int) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = 255  # the upper left quarter
    path = write_video(tmp_path / "a.mp4", [picture] * 3, at(Fraction(25), 3), degrees=degrees)
    image = next(iter(read_clip(path)))
    expected = np.rot90(picture, degrees // 90)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize(
    ("codec", "pixels"),
    [("libx264", "yuv420p10le"), ("libx264", "yuv444p"), ("mjpeg", "yuvj422p"), ("ffv1", "bgr0")],
)
def test_any_pixel_format_keeps_its_colours(tmp_path: Path, codec: str, pixels: str) -> None:
    picture = np.full((48, 64, 3), (200, 120, 90), np.uint8)
    path = write_video(tmp_path / "a.mkv", [picture] * 2, at(Fraction(25), 2), codec, pixels)
    for image in read_clip(path):
        assert np.abs(image.astype(int) - (200, 120, 90)).max() <= 4


@pytest.mark.parametrize(("wide", "shape"), [("16/11", (48, 93, 3)), ("8/9", (48, 57, 3))])
def test_pixels_that_are_no_squares_become_squares(
    tmp_path: Path, wide: str, shape: tuple[int, ...]
) -> None:
    """Television stores wide pictures in narrow ones."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.sample_aspect_ratio = Fraction(wide)
        for index, picture in enumerate(grey_levels(3)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert [image.shape for image in read_clip(tmp_path / "a.mp4")] == [shape] * 3


def test_odd_sizes_stay_as_they_are(tmp_path: Path) -> None:
    picture = np.full((47, 63, 3), 100, np.uint8)
    path = write_video(tmp_path / "a.mkv", [picture], at(Fraction(25), 1), "ffv1", "yuv444p")
    assert [image.shape for image in read_clip(path)] == [(47, 63, 3)]


@pytest.mark.parametrize(("size", "same"), [((128, 96), True), ((63, 48), True), ((48, 64), False)])
def test_a_size_may_change_on_the_way_but_not_the_shape(
    tmp_path: Path, size: tuple[int, int], same: bool
) -> None:
    """A bare stream of H.264, as two of them written one after the other are one."""
    stream = b""
    for width, height in ((64, 48), size):
        part = write_video(
            tmp_path / "a.h264",
            grey_levels(3, width, height),
            at(Fraction(25), 3),
            pixels="yuv444p",
        )
        stream += part.read_bytes()
    part.write_bytes(stream)
    if same:
        assert [image.shape for image in read_clip(part)] == [(48, 64, 3)] * 6
    else:
        assert "changes the shape of its picture on the way; cut out" in refusal(part)


@pytest.mark.parametrize(("width", "same"), [(48, True), (64, False)])
def test_a_camera_that_is_turned_on_the_way_makes_another_shape(
    tmp_path: Path, width: int, same: bool
) -> None:
    """H.264 itself can say of each picture how it is to be turned."""
    path = write_video(tmp_path / "a.h264", grey_levels(3, width), at(Fraction(25), 3))
    content = path.read_bytes()
    path.write_bytes(content + turned_by_90(path))
    if same:
        assert [image.shape for image in read_clip(path)] == [(48, 48, 3)] * 6
    else:
        assert "changes the shape of its picture on the way; cut out" in refusal(path)


def turned_by_90(path: Path) -> bytes:
    """The stream of H.264 in a file with a message that turns its pictures."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        messages = BitStreamFilterContext(
            "h264_metadata=display_orientation=insert:rotate=90", stream
        )
        parts = [bytes(one) for packet in container.demux() for one in messages.filter(packet)]
    return b"".join(parts)


def test_large_pictures_are_shrunk_without_aliasing(tmp_path: Path) -> None:
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[:, ::2] = 254  # lines of one pixel: half grey once shrunk, stripes if only skipped
    path = write_video(tmp_path / "a.mkv", [picture], at(Fraction(25), 1), "ffv1", "bgr0")
    (image,) = read_clip(path, max_side=80)
    assert image.shape == (60, 80, 3)
    assert np.abs(image.astype(int) - 127).max() <= 8


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("Dear diary, today I was renamed.\n" * 50)
    (tmp_path / "empty.mp4").touch()
    assert "cannot be read as a picture or video" in refusal(text)
    assert "is empty" in refusal(tmp_path / "empty.mp4")
    assert "does not exist" in refusal(tmp_path / "missing.mp4")
    assert "is a folder" in refusal(tmp_path)
    song = write_sound(tmp_path / "song.mp3", tone(0.5, 24_000), 24_000, "mp3")
    assert "no video track" in refusal(song)


def test_a_video_track_without_a_picture_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        video, sound = container.add_stream("libx264", rate=25), container.add_stream("aac")
        assert isinstance(video, av.VideoStream) and isinstance(sound, av.AudioStream)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 4800), np.float32), "fltp", "stereo")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux([*sound.encode(frame), *sound.encode(None)])
    assert "holds no picture that can be decoded; export it again." in refusal(tmp_path / "a.mkv")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_half_a_clip_is_refused(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    path = write_video(tmp_path / name, list(noise), at(Fraction(25), 60))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "cut short" in refusal(path)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_long_and_large_clips_are_refused(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, grey_levels(50), at(Fraction(25), 50))
    assert "too long: more than 1 s" in refusal(path, max_seconds=1)
    assert "too large: 64x48" in refusal(path, max_pixels=3_000)


@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
        ((1, 0, 0, -1), lambda image: image[::-1]),
        ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    ],
)
def test_a_mirrored_clip_gives_what_the_camera_meant(
    tmp_path: Path, matrix: tuple[int, ...], shown: Callable[[Image], Image]
) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:] = 250, 120
    path = write_video(tmp_path / "a.mp4", [picture] * 3, at(Fraction(25), 3))
    content = path.read_bytes()
    place = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    content = content[:place] + struct.pack(">5i", a, b, 0, c, d) + content[place + 20 :]
    path.write_bytes(content)
    expected = shown(picture)
    image = next(iter(read_clip(path)))
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4


def test_what_comes_beside_a_frame_does_no_harm(tmp_path: Path) -> None:
    """PNG frames with EXIF and a colour profile, kinds that PyAV does not know or frees twice."""
    exif = Pillow.Exif()
    exif[274] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stored = io.BytesIO()
    Pillow.new("RGB", (64, 48), (200, 120, 90)).save(stored, "PNG", exif=exif, icc_profile=profile)
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.start_encoding()
        for index in range(3):
            packet = av.Packet(stored.getvalue())
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = index
            container.mux(packet)
    images = list(read_clip(path))
    gc.collect()
    assert len(images) == 3
    assert images[0].shape in ((64, 48, 3), (48, 64, 3))  # FFmpeg 8 heeds the EXIF of frames
    assert (images[0] == (200, 120, 90)).all()
