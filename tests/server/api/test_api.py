"""The API is what its description says, for valid and for invalid requests."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from lipstream.server.admission import Cost
from lipstream.server.app import create_app
from lipstream.server.settings import ServeSettings
from tests.server.fake_runtime import FakeRuntime
from tests.server.http_server import HttpServer, open_server

schemathesis = pytest.importorskip("schemathesis", reason="needs Python 3.11")

from schemathesis import CheckContext, GenerationMode, Response  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

EXAMPLES = 10
SMALL = Cost(0.01, 0.01, 0.1)
DOCUMENT = create_app(ServeSettings(), runtime=FakeRuntime()).openapi()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]


def no_fault(ctx: CheckContext, response: Response, case: Any) -> bool | None:
    """5xx is never an answer, but that there is no room, or no voice."""
    assert response.status_code < 500 or response.status_code in (501, 503)
    return None


def one_shape(ctx: CheckContext, response: Response, case: Any) -> bool | None:
    """Whatever is refused is refused in words."""
    if response.status_code >= 400 and case.method != "HEAD":
        assert set(response.json()["error"]) == {"code", "message"}
    return None


CHECKS = [
    no_fault,
    one_shape,
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")  # type: ignore[untyped-decorator]
def text(ctx: Any, value: Any) -> bytes:
    """As it comes: any text may be sent as SDP."""
    return str(value).encode(errors="replace")


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_call_keeps_to_its_description(mode: GenerationMode) -> None:
    room = ServeSettings(rate=0, connect_timeout_s=600, max_avatars=2)
    with open_server(room, FakeRuntime(cost=SMALL)) as server:
        for operation in OPERATIONS:
            made = httpx.post(f"{server.url}/v1/sessions", json={"avatar": "face"}).json()["id"]
            examine(server, operation, mode, {"session_id": made, "avatar_id": "face"})
            httpx.delete(f"{server.url}/v1/sessions/{made}")


def examine(
    server: HttpServer, operation: Any, mode: GenerationMode, known: dict[str, str]
) -> None:
    """Try one call many times; half of the time with an id that there is."""

    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    @settings(max_examples=EXAMPLES, database=None, suppress_health_check=[*HealthCheck])
    def keeps(case: Any, real: bool) -> None:
        if real:
            for name in case.path_parameters.keys() & known:
                case.path_parameters[name] = known[name]
        response = case.call(base_url=server.url)
        checks = CHECKS
        if case.media_type == "multipart/form-data":  # in which everything is text
            checks = [check for check in CHECKS if check is not negative_data_rejection]
        case.validate_response(response, checks=checks)
        if response.status_code == 201:  # there shall be room for the next one
            made = response.headers.get("location") or [f"/v1/sessions/{response.json()['id']}"]
            httpx.delete(f"{server.url}{made[0]}")

    with contextlib.suppress(Unsatisfiable):  # of some calls nothing can be wrong
        keeps()


def test_every_call_is_described() -> None:
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert any(status.startswith("2") for status in operation["responses"])
            assert "HTTPValidationError" not in str(operation)
    names = set(DOCUMENT["components"]["schemas"])
    assert "ErrorBody" in names and "HTTPValidationError" not in names
