"""Signatures as the specification and its libraries make them."""

from __future__ import annotations

import pytest

from lipstream.errors import OptionError
from lipstream.server.webhooks.signature import key_of, signed_headers

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_specification() -> None:
    """Message, key and signature stand in the tests of its reference libraries."""
    made = signed_headers(
        key_of(SECRET),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_short", "whsec_" + "A" * 100, "whsec_" + "!" * 32, SECRET[6:]]
)
def test_a_secret_that_is_none_is_not_repeated(secret: str) -> None:
    with pytest.raises(OptionError, match="--webhook-secret must be whsec_ and 24 to 64 bytes in"):
        key_of(secret)
    try:
        key_of(secret)
    except OptionError as error:
        assert len(secret) < 10 or secret not in str(error)
