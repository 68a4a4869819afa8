"""Units between a push and its process."""

from __future__ import annotations

import io

import numpy as np
import pytest

from lipstream.errors import OptionError
from lipstream.push.wire import PushTarget, check_push_url, pack, read_unit

RGB = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
PLANES = np.arange(36, dtype=np.uint8).reshape(6, 6)


def test_units_arrive_as_they_were() -> None:
    target = PushTarget.from_line(PushTarget("rtmp://h/live/a b", 6, 4).to_line())
    assert target == PushTarget("rtmp://h/live/a b", 6, 4)
    assert "live" not in repr(target)
    sound = np.arange(-960, 960, dtype=np.int16)
    records = [b"".join(pack(index, picture, sound)) for index, picture in ((7, RGB), (8, PLANES))]
    source = io.BytesIO(b"".join(records) + records[0][:-1])
    for expected, picture in ((7, RGB), (8, PLANES)):
        unit = read_unit(source)
        assert unit is not None and unit[0] == expected
        assert np.array_equal(unit[1], picture) and np.array_equal(unit[2], sound)
    assert read_unit(source) is None  # cut off
    assert read_unit(source) is None


@pytest.mark.parametrize(
    "url", ["", "rtmp://", "http://a/b", "file:///a", "rtmp://a/\n", "rtmp://ä"]
)
def test_other_addresses_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(OptionError) as refused:
        check_push_url(url, "--to")
    assert len(url) < 8 or url not in str(refused.value)


@pytest.mark.parametrize("url", ["rtmp://127.0.0.1/live/a", "rtmps://example.org:443/app/key?a=b"])
def test_servers_of_streams_are_taken(url: str) -> None:
    check_push_url(url, "--to")
