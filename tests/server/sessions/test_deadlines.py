"""Sessions end that nobody watches or uses, each after its time."""

from __future__ import annotations

import pytest

from lipstream.live.clock import ManualClock
from lipstream.server.sessions.deadlines import PUSH_GRACE_S, Deadlines, Presence
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


@pytest.mark.parametrize(
    ("presence", "seen", "patience_s", "reason"),
    [
        (Presence("waiting", None), False, 15, "unconnected"),
        (Presence("connected", None), True, 15, "idle"),
        (Presence("lost", None), False, 30, "vanished"),
        (Presence("waiting", "connecting"), False, PUSH_GRACE_S, "unconnected"),
        (Presence("waiting", "connected"), True, 15, "idle"),
        (Presence("lost", "connected"), True, 30, "idle"),
        (Presence("waiting", "lost"), False, PUSH_GRACE_S, "vanished"),
        (Presence("waiting", "failed"), False, 15, "unconnected"),
    ],
)
def test_viewers_and_servers_of_streams_count_alike(
    presence: Presence, seen: bool, patience_s: int, reason: str
) -> None:
    clock, settings = ManualClock(), ServeSettings(connect_timeout_s=15, grace_s=30)
    deadlines = Deadlines(settings, clock)
    assert (presence.seen, deadlines.patience_s(presence)) == (seen, patience_s)
    wait_s = settings.idle_timeout_s if seen else patience_s
    clock.advance(1000 * wait_s - 1)
    assert deadlines.overdue(presence, busy=False) == ""
    clock.advance(1)
    assert deadlines.overdue(presence, busy=False) == reason
    assert (deadlines.overdue(presence, busy=True) == "") == seen  # speech that somebody hears
    deadlines.restart()
    assert deadlines.overdue(presence, busy=False) == ""
