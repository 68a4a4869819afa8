"""Pictures of wide colours (HDR by HLG or PQ, BT.2020, Display P3) to those of BT.709.

What a camera of the common kind would have shown stays as it is: up to `KNEE` nothing but the
primaries change. Brighter light, for which BT.709 has no room, is rolled off below white.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from lipstream.media.image import Floats, Image

Doubles = NDArray[np.float64]

# ITU-T H.273, transfer characteristics and primaries
PQ, HLG, SRGB = 16, 18, 13
BT709, BT2020, P3_DCI, P3_D65 = 1, 9, 11, 12
# To the primaries of BT.709, row by row; all with the white of D65 (BT.2087, SMPTE EG 432-1).
TO_BT709 = {
    BT709: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    BT2020: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    P3_D65: ((1.2249, -0.2249, 0.0), (-0.0420, 1.0420, 0.0), (-0.0197, -0.0786, 1.0983)),
}
STEPS = 1 << 16  # of the tables
# White of BT.709 in HDR (BT.2408): 203 cd/m2 of PQ, 75 % of the signal of HLG.
PQ_WHITE = 203 / 10_000
HLG_WHITE = 0.2650
PQ_PEAK = 1000 / 203  # brighter lights are as white as this
KNEE = 0.9  # of the signal


def is_wide(transfer: int, primaries: int) -> bool:
    """True when the colours of a frame are not, as they stand, those of BT.709."""
    return transfer in (PQ, HLG) or primaries in (BT2020, P3_DCI, P3_D65)


def to_bt709(picture: NDArray[np.uint16], transfer: int, primaries: int) -> Image:
    """(height, width, 3) RGB of 16 bits with these codes of H.273 -> the same of 8 bits.

    HDR that does not name its primaries has those of BT.2020.
    """
    to_light, to_signal, matrix = _tables(transfer, primaries)
    light = cv2.transform(np.take(to_light, picture), matrix)
    indices = np.clip(light, 0, STEPS - 1, out=light).astype(np.uint16)
    return np.take(to_signal, indices)


@functools.lru_cache(maxsize=4)
def _tables(transfer: int, primaries: int) -> tuple[Floats, Image, Floats]:
    """Signal of 16 bits -> light in 0..STEPS - 1 and back to 8 bits; the matrix between."""
    signal = np.linspace(0, 1, STEPS)
    if transfer == HLG:
        # By the light of the scene, which both standards encode alike but for the highlights.
        light, encode = _hlg_scene(signal) / HLG_WHITE, _bt709_signal
    elif transfer == PQ:
        light, encode = np.minimum(_pq_light(signal) / PQ_WHITE, PQ_PEAK), _srgb_signal
    elif transfer == SRGB:
        light, encode = _srgb_light(signal), _srgb_signal
    else:
        light, encode = _bt709_light(signal), _bt709_signal
    peak = float(light[-1])
    back = encode(signal * peak)
    if peak > 1:
        back = _rolled_off(back)
    known = P3_D65 if primaries == P3_DCI else primaries
    return (
        np.asarray(light * ((STEPS - 1) / peak), np.float32),
        np.asarray(np.rint(np.clip(back, 0, 1) * 255), np.uint8),
        np.array(TO_BT709.get(known, TO_BT709[BT2020]), np.float32),
    )


def _rolled_off(signal: Doubles) -> Doubles:
    """Signals, 1 being white, with those above `KNEE` pressed together so that the last is 1.

    Reinhard's curve, of slope 1 at the knee: t (1 + t / T^2) / (1 + t), T the highest t.
    """
    above = np.maximum(signal - KNEE, 0) / (1 - KNEE)
    pressed = above * (1 + above / above[-1] ** 2) / (1 + above)
    return np.where(signal > KNEE, KNEE + (1 - KNEE) * pressed, signal)


def _hlg_scene(signal: Doubles) -> Doubles:
    """BT.2100, table 5: the inverse OETF, to light in 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _pq_light(signal: Doubles) -> Doubles:
    """BT.2100, table 4: the EOTF, in shares of 10 000 cd/m2."""
    power = signal ** (32 / 2523)
    light: Doubles = (np.maximum(power - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * power)) ** (
        16384 / 2610
    )
    return light


def _bt709_light(signal: Doubles) -> Doubles:
    return np.where(signal < 0.081, signal / 4.5, ((signal + 0.099) / 1.099) ** (1 / 0.45))


def _bt709_signal(light: Doubles) -> Doubles:
    return np.where(light < 0.018, light * 4.5, 1.099 * light**0.45 - 0.099)


def _srgb_light(signal: Doubles) -> Doubles:
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def _srgb_signal(light: Doubles) -> Doubles:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
