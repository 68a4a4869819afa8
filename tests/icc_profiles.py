"""Colour profiles for tests, written as the ICC's specification has them (ICC.1:2001-12)."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Chromaticities of red, green, blue and white, and the exponent of the tone curve.
ADOBE_RGB = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290, 2.2)
DISPLAY_P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.3127, 0.3290, 2.2)
PROPHOTO = (0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001, 0.3457, 0.3585, 1.8)

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def rgb_profile(space: tuple[float, ...]) -> io.BytesIO:
    """A display profile of three primaries and one exponent."""
    columns, curve = _colorants(space), _curve(space[8])
    return _profile(
        b"RGB ",
        {
            **{b"rXYZ": _xyz(columns[0]), b"gXYZ": _xyz(columns[1]), b"bXYZ": _xyz(columns[2])},
            **{b"rTRC": curve, b"gTRC": curve, b"bTRC": curve},
        },
    )


def grey_profile(exponent: float) -> io.BytesIO:
    """A display profile of grey."""
    return _profile(b"GRAY", {b"kTRC": _curve(exponent)})


def _curve(exponent: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(exponent * 256)) + b"\0\0"


def _profile(space: bytes, own: dict[bytes, bytes]) -> io.BytesIO:
    """A profile with these tags and those that every one must have."""
    name = b"test\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78 + 3),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": _xyz(D50),
        **own,
    }
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3I", *(round(value * 65536) for value in D50))
    return io.BytesIO(head.ljust(128, b"\0") + table + data)


def _colorants(space: tuple[float, ...]) -> NDArray[Any]:
    """The XYZ of red, green and blue as seen under D50, row by row."""
    xy = np.array(space[:8]).reshape(4, 2)
    xyz = np.column_stack([xy[:, 0] / xy[:, 1], np.ones(4), (1 - xy.sum(axis=1)) / xy[:, 1]])
    primaries, white = xyz[:3].T, xyz[3]
    scaled = primaries * np.linalg.solve(primaries, white)
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ white))
    adapted: NDArray[Any] = np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ scaled
    return adapted.T


def _xyz(values: NDArray[Any]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in values))
