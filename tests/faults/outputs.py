"""Faults of recordings and of pushes: what they cost, where they go, and what they tell."""

from __future__ import annotations

from tests.faults.fault import Fault, Promise

RECORDING = "server/outputs/recording.py"
ADDRESS = "server/outputs/push_address.py"
ENDPOINT = "server/outputs/whip_endpoint.py"
TEST_RECORDING = "server/outputs/test_recording.py"
TEST_PUSH = "server/outputs/test_session_push.py"
TEST_WHIP = "server/outputs/test_whip_push.py"

RECORDINGS = Promise(
    "recordings",
    "a recording is whole or not there, costs no frame, and is nobody else's",
    (
        Fault(
            "a recording has its name before it is whole",
            RECORDING,
            "part, track = part_of(self.path), _Track()",
            "part, track = self.path, _Track()",
            (f"{TEST_RECORDING}::test_a_full_disk_ends_the_recording_and_nothing_else",),
        ),
        Fault(
            "units wait for a disk that hangs without bound",
            RECORDING,
            "if self.waiting >= MAX_UNITS:",
            "if False:",
            (f"{TEST_RECORDING}::test_a_disk_that_hangs_costs_units_of_the_recording_alone",),
        ),
        Fault(
            "others may read recordings",
            RECORDING,
            "PartFile(part, private=True)",
            "PartFile(part)",
            (f"{TEST_RECORDING}::test_a_recording_has_every_unit_in_its_place_and_in_sync",),
        ),
        Fault(
            "what was left out is not filled",
            RECORDING,
            "0 < missing <= MAX_GAP",
            "False",
            (f"{TEST_RECORDING}::test_a_recording_has_every_unit_in_its_place_and_in_sync",),
        ),
    ),
)

PUSHES = Promise(
    "pushes",
    "sessions are pushed where that is allowed, whoever watches, and no key is told",
    (
        Fault(
            "a session may be pushed anywhere",
            "server/sessions/outputs.py",
            "if not self._addresses.allowed(address):",
            "if False:",
            (f"{TEST_PUSH}::test_other_addresses_are_refused_and_not_repeated",),
        ),
        Fault(
            "a path that only begins alike is allowed",
            ADDRESS,
            "self.path.startswith(folder)",
            "self.path.startswith(other.path)",
            ("server/outputs/test_push_address.py::test_other_addresses_are_not",),
        ),
        Fault(
            "the key of a push is told",
            "server/sessions/outputs.py",
            "choice.push.address.host",
            "choice.push.address.url",
            (f"{TEST_PUSH}::test_a_push_is_told_and_its_key_never_is",),
        ),
        Fault(
            "a pushed session stands still without a viewer",
            "server/sessions/session.py",
            "        if connected:\n            self.outputs.draw()\n",
            "",
            (f"{TEST_PUSH}::test_a_push_takes_units_without_a_viewer_and_ends_with_the_session",),
        ),
        Fault(
            "a session whose push is never taken stays for ever",
            "server/sessions/deadlines.py",
            "        if not presence.seen:\n            ends.append",
            "        if False:\n            ends.append",
            (f"{TEST_PUSH}::test_a_push_that_is_never_taken_ends_the_session",),
        ),
        Fault(
            "each try that fails lets a session wait anew",
            "server/sessions/session.py",
            "if connected != self._pushed:",
            "if True:",
            (f"{TEST_PUSH}::test_a_push_that_is_never_taken_ends_the_session",),
        ),
        Fault(
            "a token goes wherever an endpoint redirects to",
            ENDPOINT,
            "own = address.host == self._address.host",
            "own = True",
            (f"{TEST_WHIP}::test_another_host_gets_no_token",),
        ),
        Fault(
            "redirections are followed anywhere",
            ENDPOINT,
            "return found if self._may_follow(found) else None",
            "return found",
            (
                f"{TEST_WHIP}::test_redirections_to_where_nothing_may_be_pushed_are_refused",
                f"{TEST_WHIP}::test_a_resource_elsewhere_is_not_deleted",
            ),
        ),
        Fault(
            "an endpoint that says nothing is waited for",
            ENDPOINT,
            "return await asyncio.wait_for(self._publish(offer), ANSWER_S)",
            "return await self._publish(offer)",
            (f"{TEST_WHIP}::test_a_server_that_does_not_answer_is_given_up",),
        ),
    ),
)

PROMISES = (RECORDINGS, PUSHES)
