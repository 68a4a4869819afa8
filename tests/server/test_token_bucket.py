"""So much per second in the long run, and so much at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lipstream.server.token_bucket import TokenBucket


def test_a_full_bucket_gives_a_burst_and_then_its_rate() -> None:
    now = 0.0
    bucket = TokenBucket(2, 4, lambda: now)
    assert [bucket.take() for _ in range(5)] == [True] * 4 + [False]
    now = 1.0
    assert [bucket.take() for _ in range(3)] == [True] * 2 + [False]
    assert bucket.wait_s() == 0.5
    now = 100.0
    assert not bucket.take(5) and bucket.take(4)
    assert bucket.wait_s(4) == 2.0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 9)), max_size=50))
def test_no_more_is_given_than_burst_and_rate_allow(calls: list[tuple[float, float]]) -> None:
    now = 0.0
    bucket = TokenBucket(3, 8, lambda: now)
    given_out = 0.0
    for wait, tokens in calls:
        now += wait
        given_out += tokens * bucket.take(tokens)
        assert given_out <= 8 + 3 * now + 1e-6
