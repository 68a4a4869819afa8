"""Units between a push and its process."""

from __future__ import annotations

import numpy as np
import pytest

from lipstream.errors import OptionError
from lipstream.push.wire import PushTarget, check_push_url, pack


def test_a_unit_arrives_as_it_was() -> None:
    target = PushTarget.from_line(PushTarget("rtmp://h/live/a b", 6, 4).to_line())
    assert target == PushTarget("rtmp://h/live/a b", 6, 4)
    picture = np.arange(72, dtype=np.uint8).reshape(4, 6, 3)
    sound = np.arange(-960, 960, dtype=np.int16)
    record = b"".join(pack(7, picture, sound))
    assert len(record) == target.record_bytes
    index, seen, heard = target.unpack(record)
    assert index == 7 and np.array_equal(seen, picture) and np.array_equal(heard, sound)


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
