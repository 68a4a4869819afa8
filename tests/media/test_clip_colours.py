"""The colours of a clip are those that a screen of BT.709 shows, however they are stored."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from lipstream.media.colour import hdr
from lipstream.media.video_reader import read_clip

COLOURS = np.array([(200, 120, 90), (60, 30, 20), (225, 205, 195), (30, 120, 60)], np.uint8)
PICTURE = COLOURS.repeat(32, axis=0)[None].repeat(64, axis=0)  # (64, 128, 3): upright stripes
SWSCALE = {1: 1, 6: 5, 9: 9}  # its names of the matrices of H.273
FULL_CHROMA = 4 | 0x2000 | 0x40000


def write_clip(
    path: Path,
    picture: NDArray[Any],
    codec: str,
    pixels: str,
    matrix: int = 1,
    full: bool = False,
    transfer: int = 1,
    primaries: int = 1,
    tagged: bool = True,
    options: dict[str, str] | None = None,
) -> Path:
    """Two frames of a picture; if `tagged`, the file names the codes of H.273 of its colours."""
    if not hasattr(av.VideoFrame, "color_trc"):
        pytest.skip("needs PyAV 17 to write codes of colour")
    kind = {3: "rgb24", 4: "rgba"}[picture.shape[2]] if picture.dtype == np.uint8 else "rgb48le"
    colour = (matrix, 2 if full else 1, transfer, primaries) if tagged else (2, 0, 2, 2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = picture.shape[:2]
        context, stream.pix_fmt = stream.codec_context, pixels
        if "vpx" in codec and pixels.startswith("yuva"):
            stream.metadata["alpha_mode"] = "1"
        if kind != "rgba":
            context.colorspace, context.color_range = colour[:2]
            context.color_trc, context.color_primaries = colour[2:]
        for index in range(2):
            source = av.VideoFrame.from_ndarray(picture, format=kind)
            frame = source.reformat(
                format=pixels,
                dst_colorspace=SWSCALE[matrix],
                dst_color_range=2 if full else 1,
                interpolation=FULL_CHROMA,
            )
            frame.colorspace, frame.color_range = colour[:2]
            frame.color_trc, frame.color_primaries = colour[2:]
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def stripes(image: NDArray[Any]) -> NDArray[Any]:
    """(4, 3): the colour of each stripe, away from its edges."""
    width = image.shape[1] // 4
    middles = [image[:, width * i + width // 4 : width * i + 3 * width // 4] for i in range(4)]
    return np.array([middle.mean(axis=(0, 1)) for middle in middles])


def error(path: Path) -> float:
    return float(np.abs(stripes(next(iter(read_clip(path)))) - COLOURS).max())


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le"])
def test_matrix_and_range_are_those_of_the_file(
    tmp_path: Path, pixels: str, matrix: int, full: bool
) -> None:
    path = write_clip(
        tmp_path / "a.mp4", PICTURE, "libx264", pixels, matrix, full, options={"crf": "1"}
    )
    assert error(path) <= 3


@pytest.mark.parametrize(("scale", "matrix"), [(1, 6), (12, 1)])
def test_a_file_without_tags_counts_as_what_its_height_says(
    tmp_path: Path, scale: int, matrix: int
) -> None:
    picture = PICTURE.repeat(scale, axis=0).repeat(scale, axis=1)
    path = write_clip(
        tmp_path / "a.mp4",
        picture,
        "libx264",
        "yuv420p",
        matrix,
        tagged=False,
        options={"crf": "1"},
    )
    assert error(path) <= 3


def stored(transfer: int, primaries: int) -> NDArray[np.uint16]:
    """`PICTURE` with its white at that of BT.2408, as these codes store it, in 16 bits."""
    signal = PICTURE.astype(np.float64) / 255
    srgb = transfer in (hdr.PQ, hdr.SRGB)
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    if not srgb:
        light = np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))
    light = np.clip(
        light @ np.linalg.inv(np.array(hdr.TO_BT709.get(primaries, hdr.TO_BT709[hdr.BT2020]))).T,
        0,
        1,
    )
    if transfer == hdr.PQ:
        power = (light * 0.0203) ** (2610 / 16384)
        coded = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    elif transfer == hdr.HLG:
        scene = light * 0.265
        above = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        coded = np.where(scene <= 1 / 12, np.sqrt(3 * scene), above)
    elif srgb:
        coded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    else:
        coded = np.where(light < 0.018, light * 4.5, 1.099 * light**0.45 - 0.099)
    return np.asarray(np.rint(coded * 65_535), np.uint16)


@pytest.mark.parametrize(
    ("transfer", "matrix", "primaries"),
    [
        (hdr.HLG, 9, hdr.BT2020),
        (hdr.PQ, 9, hdr.BT2020),
        (hdr.PQ, 9, 2),  # not named
        (hdr.PQ, 1, hdr.BT709),
        (14, 9, hdr.BT2020),  # BT.2020 of common brightness
        (1, 1, hdr.P3_D65),
        (hdr.SRGB, 1, hdr.P3_D65),
    ],
    ids=["hlg", "pq", "pq-unnamed", "pq-bt709", "bt2020", "p3", "p3-srgb"],
)
def test_wide_colours_are_brought_to_bt709(
    tmp_path: Path, transfer: int, matrix: int, primaries: int
) -> None:
    picture = stored(transfer, primaries)
    assert np.abs(stripes(picture / 257) - COLOURS).max() > 12
    path = write_clip(
        tmp_path / "a.mkv",
        picture,
        "libx264",
        "yuv420p10le",
        matrix,
        transfer=transfer,
        primaries=primaries,
        options={"crf": "1"},
    )
    assert error(path) <= 4


@pytest.mark.parametrize("transfer", [hdr.PQ, hdr.HLG])
def test_lights_brighter_than_white_stay_apart_and_in_order(transfer: int) -> None:
    ramp = np.linspace(0, 65_535, 512).astype(np.uint16)
    grey = ramp[None, :, None].repeat(3, axis=2)
    shown = hdr.to_bt709(grey, transfer, hdr.BT2020)[0].astype(int)
    assert (np.ptp(shown, axis=1) <= 1).all()
    assert (np.diff(shown[:, 1]) >= 0).all()
    assert shown[0, 1] == 0 and shown[-1, 1] == 255
    white = int(65_535 * {hdr.PQ: 0.5807, hdr.HLG: 0.75}[transfer])  # BT.2408, table 1
    assert 235 <= shown[np.searchsorted(ramp, white), 1] <= 248


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.webm", "libvpx", "yuva420p"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "png", "rgba"),
    ],
)
@pytest.mark.parametrize("side", [1280, 64])
def test_transparency_is_laid_over_the_background(
    tmp_path: Path, name: str, codec: str, pixels: str, side: int
) -> None:
    picture = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 255, np.uint8)])
    picture[:, :32, 3], picture[:, 32:64, 3] = 0, 128
    options = {"crf": "4", "b": "2M", "auto-alt-ref": "0"} if "vpx" in codec else {}
    path = write_clip(tmp_path / name, picture, codec, pixels, 6, options=options)
    images = list(read_clip(path, max_side=side, background=(0, 200, 0)))
    assert len(images) == 2
    found = stripes(images[1])
    assert np.abs(found[0] - (0, 200, 0)).max() <= 3
    assert np.abs(found[1] - (30, 115, 10)).max() <= 6
    assert np.abs(found[2:] - COLOURS[2:]).max() <= 6
