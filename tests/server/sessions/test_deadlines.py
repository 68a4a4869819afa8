"""Sessions end that nobody watches or uses, each after its time."""

from __future__ import annotations

from lipstream.server.settings import ServeSettings
from tests.server.app_client import SDP, AppClient, run_client
from tests.server.fake_runtime import OFFER, session_event


def test_a_session_that_is_never_connected_ends() -> None:
    async def test(client: AppClient) -> None:
        await client.open()
        await client.pass_time(14)
        assert len(client.manager) == 1
        await client.pass_time(2)
        assert len(client.manager) == 0

    run_client(test)


def test_after_a_stall_what_waits_is_read_before_anybody_is_judged() -> None:
    """The machine stood still for 8 s; the offer came meanwhile."""

    async def test(client: AppClient) -> None:
        made, other = await client.open(), await client.open()
        await client.pass_time(14)
        client.clock.advance(8_000)
        await client.connect(made)
        await client.pass_time(1)
        assert (await client.http.get(f"/v1/sessions/{made['id']}")).json()["state"] == "connected"
        assert (await client.http.get(f"/v1/sessions/{other['id']}")).status_code == 404

    run_client(test)


def test_a_connection_without_a_picture_ends_too() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.http.post(made["whep_url"], content=OFFER, headers=SDP)
        assert client.session(made).state == "connecting"
        await client.pass_time(16)
        assert len(client.manager) == 0

    run_client(test)


def test_a_viewer_that_vanished_may_connect_again_within_the_grace_time() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        client.runtime.sessions[0].buffered_ms = 5_000
        connection.vanish()
        await client.pass_time(29)
        assert client.session(made).state == "lost"
        await client.connect(made)
        assert client.session(made).state == "connected"
        assert client.runtime.sessions[0].buffered_ms == 5_000
        client.runtime.connections[-1].vanish()
        await client.pass_time(31)
        assert len(client.manager) == 0

    run_client(test)


def test_a_viewer_that_connects_again_replaces_its_connection() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        first = await client.connect(made)
        second = await client.connect(made)
        assert first.closed and not second.closed
        first.on_closed("too late to matter")
        first.show()
        session = client.session(made)
        assert session.state == "connected" and session.connection is not None

    run_client(test)


def test_an_idle_session_ends() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        await client.pass_time(50)
        await client.http.post(f"/v1/sessions/{made['id']}/interrupt")
        await client.pass_time(50)
        assert len(client.manager) == 1
        client.runtime.sessions[0].emit(session_event("started"))
        await client.pass_time(90)
        assert len(client.manager) == 1  # it speaks
        client.runtime.sessions[0].emit(session_event("ended"))
        await client.pass_time(61)
        assert len(client.manager) == 0

    run_client(test, ServeSettings(rate=0, idle_timeout_s=60))


def test_no_session_lasts_for_ever() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        client.runtime.sessions[0].emit(session_event("started"))
        await client.pass_time(101)
        assert len(client.manager) == 0

    run_client(test, ServeSettings(rate=0, max_duration_s=100))
