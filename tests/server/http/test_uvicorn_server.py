"""The address that is printed is one that can be opened."""

from __future__ import annotations

import pytest

from lipstream.server.http import uvicorn_server
from lipstream.server.http.uvicorn_server import address_of, bind


def test_of_all_addresses_one_is_named_that_others_can_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bind("0.0.0.0", 0) as bound:
        port = bound.getsockname()[1]
        monkeypatch.setattr(uvicorn_server, "outward_address", lambda: "192.168.7.5")
        assert address_of(bound) == f"http://192.168.7.5:{port}"
        monkeypatch.setattr(uvicorn_server, "outward_address", lambda: None)
        assert "0.0.0.0" not in address_of(bound)


def test_an_address_that_was_chosen_is_named_as_it_is() -> None:
    with bind("127.0.0.1", 0) as bound:
        assert address_of(bound) == f"http://127.0.0.1:{bound.getsockname()[1]}"
