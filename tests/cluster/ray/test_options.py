from __future__ import annotations

from typing import Any

import pytest

from lipstream.cluster.ray.options import read_options
from lipstream.errors import OptionError


def test_texts_of_a_command_line_and_values_of_a_file_say_the_same() -> None:
    texts = {
        "avatars": "anna=/a/anna.avatar:ben=/a/ben=1.avatar",
        "max_workers": "8",
        "origins": "https://a.example https://b.example",
        "serve": "--udp-ports 40000-40999 --data '/my data'",
    }
    values = {
        "avatars": {"anna": "/a/anna.avatar", "ben": "/a/ben=1.avatar"},
        "max_workers": 8,
        "origins": ["https://a.example", "https://b.example"],
        "serve": ["--udp-ports", "40000-40999", "--data", "/my data"],
    }
    assert read_options(texts, {}) == read_options(values, {})


def test_variables_are_read_where_there_is_no_argument() -> None:
    environment = {
        "LIPSTREAM_RAY_MAX_WORKERS": "8",
        "LIPSTREAM_RAY_FILL": "0.5",
        "LIPSTREAM_AVATARS": "anna=/a/anna.avatar",
        "LIPSTREAM_TOKEN": "right-token-0123",
    }
    options = read_options({"max_workers": 9}, environment)
    assert (options.max_workers, options.fill) == (9, 0.5)
    assert options.avatars == {"anna": "/a/anna.avatar"}
    assert options.secret == "right-token-0123"
    assert "right-token-0123" not in repr(options)
    assert read_options({}, {}).secret is None


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"workers": 3}, "workers"),
        ({"max_workers": 0}, "max_workers"),
        ({"cores": "many"}, "cores"),
        ({"drain": "never"}, "drain"),
        ({"avatars": "anna"}, "avatars"),
        ({"min_workers": 5, "max_workers": 4}, "min_workers"),
        ({"serve": "--data 'open"}, "serve"),
    ],
)
def test_an_impossible_option_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        read_options(arguments, {})
