"""Synthetic weights from a tensor's name and shape alone: the rule of the golden recordings.

Every tensor is drawn by numpy's frozen legacy generator, seeded with the CRC-32 of its full name.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def fill_array(
    name: str, shape: Sequence[int], dtype: str = "float32", gain: float = 1.0
) -> NDArray[np.float32] | NDArray[np.int64]:
    """The value of one tensor: integers are zero, everything else is float32.

    `gain` scales what has two axes or more (linear, convolution, embedding).
    """
    shape = tuple(int(length) for length in shape)
    if "int" in dtype or "bool" in dtype:
        return np.zeros(shape, np.int64)
    drawn = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    drawn = np.asarray(drawn, np.float64)
    if name.endswith("running_mean"):
        filled = 0.1 * drawn
    elif name.endswith("running_var"):
        filled = 1 + 0.1 * np.abs(drawn)
    elif len(shape) >= 2:
        filled = gain * drawn / math.sqrt(math.prod(shape[1:]))
    elif len(shape) == 1 and name.endswith(".weight"):
        filled = 1 + 0.1 * drawn
    else:
        filled = 0.02 * drawn
    return np.asarray(filled, np.float32)
