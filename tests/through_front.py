"""The tests of servers once more, with a front before every server: the same tests must pass.

`scripts/test --part front` sets LIPSTREAM_TEST_FRONT and runs them. Left out is what a front
cannot change, and the few things that only one process alone can promise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

THROUGH_FRONT = "LIPSTREAM_TEST_FRONT" in os.environ
WORKER, WORKERS = "w1", 3  # the one worker in a test's own process; workers that are processes

LEFT_OUT: Mapping[str, str] = {  # by the beginning of a test's id, and why
    "tests/server/rtc/": "media never pass through a front",
    "tests/server/avatars/test_sandbox.py": "asks no server",
    "tests/browser/test_live.py": "media never pass through a front",
    "tests/browser/test_lips.py": "media never pass through a front",
    "tests/browser/clients/": "media of other browsers, too",
    "tests/cli/test_serve.py::test_a_server_from_its_first_line_to_its_last": (
        "reads the log of one process line by line"
    ),
    "tests/cli/test_serve.py::test_events_can_be_json": "reads the log of one process",
    "tests/cli/test_serve.py::test_a_hung_drawing_process_does_not_keep_the_server": (
        "looks for its drawing processes, which are a worker's here"
    ),
    "tests/server/security/test_connections.py::test_a_refused_body_is_not_read_for_ever": (
        "a front passes a body on before it hears that it is refused; it waits 20 s, then says 408"
    ),
    "tests/server/security/test_connections.py::test_a_refused_websocket_is_one_line_of_the_log": (
        "in the test's process the front's log and the worker's are one"
    ),
}


def left_out(test_id: str) -> bool:
    """True for a test that is not run through a front."""
    return any(test_id.startswith(beginning) for beginning in LEFT_OUT)
