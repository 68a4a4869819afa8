"""The address that is printed can be opened, and the end waits for what it was told to."""

from __future__ import annotations

import signal
from typing import Literal

import pytest

from lipstream.server.http import uvicorn_server
from lipstream.server.http.uvicorn_server import Server, address_of, bind, configured
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client


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


@pytest.mark.parametrize("drain", ["speech", "sessions"])
def test_the_end_waits_for_what_it_was_told_to(drain: Literal["speech", "sessions"]) -> None:
    async def test(client: AppClient) -> None:
        server = Server(configured(client.app), client.manager, 60, lambda: None)
        made = await client.open()
        await client.connect(made)  # somebody listens, and nobody speaks
        server.handle_exit(signal.SIGTERM, None)
        await server.on_tick(0)
        assert server.should_exit is (drain == "speech")
        await client.http.delete(f"/v1/sessions/{made['id']}")
        await server.on_tick(0)
        assert server.should_exit

    run_client(test, ServeSettings(rate=0, drain=drain))
