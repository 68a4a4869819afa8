"""A bundle of two small parts, pulled from the hub of the tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from lipstream.errors import LipstreamError
from lipstream.weights.catalogue import Bundle, BundlePart, Source
from lipstream.weights.transfer import PullResult, pull

OWNER = "someone/Talk"
LARGE = bytes(range(256)) * 2000
CONFIG = b'{"wide": 3}'
COMMIT = "c0ffee" + 34 * "0"
OTHER = "decade" + 34 * "0"

SOURCE = Source(OWNER)
NET = BundlePart("net", "a network", "mit", SOURCE, "net", ("config.json", "deep/weights.bin"))
MORE = BundlePart("more", "more", "mit", SOURCE, "more", ("more.bin",), optional=True)
BUNDLE = Bundle("talk", "for tests", {"net": NET, "more": MORE})


def pulled(folder: Path, *parts: str, **options: object) -> list[PullResult]:
    return list(pull(BUNDLE, folder, parts or ("net",), **options))  # type: ignore[arg-type]


def refused(kind: type[LipstreamError], folder: Path, **options: object) -> str:
    with pytest.raises(kind) as caught:
        pulled(folder, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence
