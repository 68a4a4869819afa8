"""Sessions are opened while they fit, monitored, and closed without a trace."""

from __future__ import annotations

import asyncio

import pytest

from lipstream.server.admission import Cost
from lipstream.server.settings import ServeSettings
from tests.server.app_client import SDP, AppClient, run_client, settle
from tests.server.fake_runtime import OFFER, FakeRuntime, session_event

FEW = ServeSettings(rate=0, max_sessions=2)


def test_a_session_has_the_addresses_of_its_parts() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        random = made["id"].partition("-")[0]
        assert len(random) == 32 and int(random, 16) >= 0
        here = f"/v1/sessions/{made['id']}"
        assert made["whep_url"] == f"{here}/whep"
        assert made["audio_url"] == f"{here}/audio"
        assert made["speech_url"] == f"{here}/speech"
        assert (made["width"], made["height"]) == (16, 16)
        assert made["look_ahead_ms"] == 60
        assert made["expires_at"].endswith("Z")
        assert made["ice_servers"] == [
            {"urls": ["stun:stun.example.org"], "username": None, "credential": None},
            {
                "urls": ["turn:turn.example.org"],
                "username": f"1:{made['id']}",
                "credential": "secret",
            },
        ]
        assert len({(await client.open())["id"], made["id"]}) == 2

    run_client(test)


def test_one_session_too_many_is_refused_for_a_while() -> None:
    async def test(client: AppClient) -> None:
        first, _ = await client.open(), await client.open()
        for path, request in (
            ("/v1/sessions", {"json": {"avatar": "face"}}),
            ("/whep?avatar=face", {"content": OFFER, "headers": SDP}),
        ):
            answer = await client.http.post(path, **request)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.json()["error"]["code"] == "full"
        text = await client.metrics()
        assert 'lipstream_refusals_total{code="full"} 2.0' in text
        await client.http.delete(f"/v1/sessions/{first['id']}")
        await client.open()
        assert len(client.manager) == 2

    run_client(test, FEW)


def test_a_session_takes_the_place_of_another_on_a_full_and_overloaded_server() -> None:
    async def test(client: AppClient) -> None:
        first, second = await client.open(), await client.open()
        client.manager.capacity.overload.raised = True
        body = {"avatar": "face", "replaces": second["id"]}
        at_once = [client.http.post("/v1/sessions", json=body) for _ in range(3)]
        answers = await asyncio.gather(*at_once)  # one place is given away once
        assert sorted(answer.status_code for answer in answers) == [201, 503, 503]
        await settle()
        taken = next(answer.json()["id"] for answer in answers if answer.is_success)
        assert (await client.http.get(f"/v1/sessions/{second['id']}")).status_code == 404
        for made in (first["id"], taken):
            assert (await client.http.get(f"/v1/sessions/{made}")).status_code == 200
        text = await client.metrics()
        assert 'lipstream_sessions_closed_total{reason="replaced"} 1.0' in text

    run_client(test, FEW)


def test_a_session_goes_on_when_the_one_to_replace_it_is_refused() -> None:
    async def test(client: AppClient) -> None:
        first = await client.open()
        body = {"avatar": "nobody", "replaces": first["id"]}
        assert (await client.http.post("/v1/sessions", json=body)).status_code == 404
        body = {"avatar": "face", "replaces": "another"}
        assert (await client.http.post("/v1/sessions", json=body)).status_code == 201
        assert (await client.http.get(f"/v1/sessions/{first['id']}")).status_code == 200

    run_client(test, FEW)


def test_sixteen_requests_at_once_open_as_many_sessions_as_fit() -> None:
    async def test(client: AppClient) -> None:
        asked = [client.http.post("/v1/sessions", json={"avatar": "face"}) for _ in range(16)]
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [201] * 8 + [503] * 8
        assert all("Retry-After" in answer.headers for answer in answers if not answer.is_success)

    run_client(
        test, ServeSettings(rate=0, max_sessions=8), runtime=FakeRuntime(cost=Cost(0.1, 0.1, 0.1))
    )


def test_the_machine_sets_the_limit_where_no_option_does() -> None:
    """Drawing takes 20 ms of each 40: one session fits, not two."""

    async def test(client: AppClient) -> None:
        assert (await client.http.get("/v1/config")).json()["max_sessions"] == 1
        await client.open()
        answer = await client.http.post("/v1/sessions", json={"avatar": "face"})
        assert answer.status_code == 503

    run_client(test, runtime=FakeRuntime(cost=Cost(20.0, 1.0, 0.1)))


def test_closing_twice_is_no_error() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        connection = await client.connect(made)
        for _ in range(2):
            assert (await client.http.delete(f"/v1/sessions/{made['id']}")).status_code == 204
        assert connection.closed and client.runtime.sessions[0].closed and len(client.manager) == 0
        assert (await client.http.get(f"/v1/sessions/{made['id']}")).status_code == 404

    run_client(test)


def test_an_operator_lists_sessions_and_ends_one_by_its_short_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(client: AppClient) -> None:
        first, second = await client.open(), await client.open()
        await client.connect(first)
        client.runtime.sessions[0].emit(session_event("started"))
        client.runtime.sessions[0].counts.units = 1_500
        await client.pass_time(14)
        listed = (await client.http.get("/v1/sessions")).json()["sessions"]
        assert listed == [
            {
                "id": first["id"][:8],
                "avatar": "face",
                "state": "connected",
                "age_s": 14,
                "speaking": True,
                "fps": 107.14,
                "recorded": False,
                "push": None,
            },
            {
                "id": second["id"][:8],
                "avatar": "face",
                "state": "waiting",
                "age_s": 14,
                "speaking": False,
                "fps": 0.0,
                "recorded": False,
                "push": None,
            },
        ]
        assert [getattr(record, "session", None) for record in caplog.records] == [
            first["id"][:8],
            second["id"][:8],
        ]
        for short in (first["id"][:7], first["id"][1:9], "nothing"):
            assert (await client.http.delete(f"/v1/sessions/{short}")).status_code == 204
        assert len(client.manager) == 2
        assert (await client.http.delete(f"/v1/sessions/{first['id'][:8]}")).status_code == 204
        assert [session.id for session in client.manager.open_sessions] == [second["id"]]
        assert (await client.http.get(f"/v1/sessions/{second['id'][:8]}")).status_code == 404

    with caplog.at_level("INFO", logger="lipstream.server"):
        run_client(test)


def test_no_two_open_sessions_have_the_same_short_id(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["a" * 32, "a" * 8 + "b" * 24, "c" * 32])

    async def test(client: AppClient) -> None:
        monkeypatch.setattr("secrets.token_hex", lambda size: next(drawn))
        opened = [(await client.open())["id"][:32] for _ in range(2)]
        assert opened == ["a" * 32, "c" * 32]

    run_client(test)


def test_closing_at_the_same_time_is_no_error() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        asked = [client.http.delete(f"/v1/sessions/{made['id']}") for _ in range(5)]
        answers = await asyncio.gather(*asked)
        assert {answer.status_code for answer in answers} == {204}

    run_client(test)


def test_a_session_that_closed_itself_is_seen_out() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        client.runtime.sessions[0].close()
        await client.pass_time(1)
        assert len(client.manager) == 0

    run_client(test)


def test_late_frames_stop_admission_until_all_is_calm(caplog: pytest.LogCaptureFixture) -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        caplog.clear()
        counts = client.runtime.sessions[0].counts

        async def go_on(seconds: int, late: int) -> None:
            for _ in range(seconds):
                counts.units, counts.late = counts.units + 25, counts.late + late
                await client.pass_time(1)

        await go_on(10, 0)
        await go_on(10, 2)
        answer = await client.http.post("/v1/sessions", json={"avatar": "face"})
        assert answer.status_code == 503
        await go_on(8, 0)
        assert client.manager.capacity.overload.raised
        await go_on(12, 0)
        told = [record for record in caplog.records if record.name == "lipstream.server"]
        overloaded, normal = (record.__dict__ for record in told)
        assert overloaded["message"].startswith("overloaded: ") and overloaded["sessions"] == 1
        assert "lower --max-sessions" in overloaded["message"] and overloaded["late"] == "8.0 %"
        assert normal["message"] == "load is back to normal"
        await client.open()

    with caplog.at_level("INFO", logger="lipstream.server"):
        run_client(test)


def test_only_speech_that_somebody_watches_holds_up_the_end() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        client.runtime.sessions[0].emit(session_event("started"))
        assert client.manager.speaking == 0  # nobody has come yet
        connection = await client.connect(made)
        assert client.manager.speaking == 1
        connection.vanish()
        assert client.manager.speaking == 0
        await client.http.post(made["whep_url"], content=OFFER, headers=SDP)
        assert client.manager.speaking == 1  # on the way back
        client.runtime.sessions[0].emit(session_event("ended"))
        assert client.manager.speaking == 0

    run_client(test)


def test_no_session_is_opened_while_the_server_drains() -> None:
    async def test(client: AppClient) -> None:
        await client.open()
        client.manager.draining = True
        assert (await client.worker.get("/readyz")).status_code == 503
        assert (await client.http.get("/healthz")).status_code == 200
        answer = await client.http.post("/v1/sessions", json={"avatar": "face"})
        assert answer.json()["error"]["code"] == "stopping"

    run_client(test)


@pytest.mark.parametrize("connected", [True, False])
def test_the_end_of_the_server_is_the_end_of_all_sessions(connected: bool) -> None:
    """`open_client` looks whether all is closed."""

    async def test(client: AppClient) -> None:
        for _ in range(3):
            made = await client.open()
            if connected:
                await client.connect(made)

    run_client(test, runtime=FakeRuntime(cost=Cost(1.0, 1.0, 0.1)))


def test_figures_of_a_session_and_of_all_there_were() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        session = client.runtime.sessions[0]
        here = f"/v1/sessions/{made['id']}"
        await client.http.get(here)
        session.counts.units, session.counts.late, session.buffered_ms = 50, 1, 700
        session.emit(session_event("started"))
        await client.pass_time(2)
        state = (await client.http.get(here)).json()
        assert state["fps"] == 25.0 and state["late"] == 1
        assert state["speaking"] and state["buffered_ms"] == 700
        await client.http.delete(here)
        text = await client.metrics()
        assert "lipstream_units_total 50.0" in text and "lipstream_late_total 1.0" in text
        assert 'lipstream_sessions_closed_total{reason="closed"} 1.0' in text
        assert "lipstream_sessions 0.0" in text

    run_client(test)


def test_an_interrupt_is_timed_to_the_first_silent_unit() -> None:
    async def test(client: AppClient) -> None:
        made = await client.open()
        await client.connect(made)
        client.runtime.sessions[0].emit(session_event("started"))
        played = await client.http.post(f"/v1/sessions/{made['id']}/interrupt")
        assert played.json() == {"played_ms": 120}
        client.clock.advance(40)
        async for _ in client.session(made).units():
            pass
        await settle()
        text = await client.metrics()
        assert "lipstream_interrupt_ms_count 1.0" in text
        assert 'lipstream_interrupt_ms_bucket{le="40.0"} 1.0' in text

    run_client(test)
