"""Faults between a viewer's sockets and the media: datagrams, checks, reports, stalls."""

from __future__ import annotations

from tests.faults.fault import Fault, Promise

GUARD = "server/rtc/guards/datagram_guard.py"
SRTP = "server/rtc/guards/srtp_guard.py"
DROPS = "server/rtc/guards/drop_log.py"
VOICES = "server/sessions/viewer_voice.py"
TEST_VOICES = "server/sessions/test_viewer_voice.py"
TEST_GUARD = "server/rtc/guards/test_datagram_guard.py"
TEST_SRTP = "server/rtc/guards/test_srtp_guard.py"
STRANGERS = "server/rtc/test_strangers.py"

DATAGRAMS = Promise(
    "datagrams",
    "no datagram ends the connection of a viewer",
    (
        Fault(
            "every datagram goes to the libraries, as without a guard",
            GUARD,
            "        self._guard.received += 1\n",
            "        return super().datagram_received(data, addr)\n",
            (f"{STRANGERS}::test_no_datagram_at_all_ends_a_connection",),
        ),
        Fault(
            "an empty or odd datagram is counted, and goes on to DTLS",
            GUARD,
            '            self._guard.drop("malformed", datagram)\n',
            '            self._guard.drop("malformed", datagram)\n'
            "            self._guard._deliver(self, datagram)\n",
            (
                f"{STRANGERS}::test_no_datagram_at_all_ends_a_connection",
                f"{TEST_GUARD}::test_only_addresses_that_answered_checks_reach_dtls",
            ),
        ),
        Fault(
            "DTLS and RTP of any address go on",
            GUARD,
            "if self._settled and self._is_valid(socket, address):",
            "if self._settled:",
            (f"{TEST_GUARD}::test_only_addresses_that_answered_checks_reach_dtls",),
        ),
        Fault(
            "an unsigned check is answered",
            GUARD,
            "if not (known and message.check_message_integrity(password.encode())):",
            "if not known:",
            (f"{TEST_GUARD}::test_a_stranger_who_asks_gets_no_answer",),
        ),
        Fault(
            "checks may come from any number of addresses",
            GUARD,
            "address in self._proven or len(self._proven) < MAX_ADDRESSES",
            "True",
            (f"{TEST_GUARD}::test_checks_from_everywhere_do_not_become_pairs_without_end",),
        ),
        Fault(
            "reports that aiortc cannot parse end the connection",
            SRTP,
            "            await self._parse_rtcp(data)\n        except MALFORMED:",
            "            await self._parse_rtcp(data)\n        except ValueError:",
            (f"{TEST_SRTP}::test_what_aiortc_cannot_parse_ends_no_connection",),
        ),
    ),
)

LOGS = Promise(
    "logs",
    "strangers write no more log than they send, and fill no memory",
    (
        Fault(
            "an attribute of a wrong length is a traceback",
            GUARD,
            "        except Exception:\n            # Bytes of anybody: aioice raises",
            "        except ValueError:\n            # Bytes of anybody: aioice raises",
            (f"{TEST_GUARD}::test_attributes_of_a_wrong_length_are_no_traceback",),
        ),
        Fault(
            "an odd answer to a look-up of names is a traceback",
            GUARD,
            "        except Exception:\n            # Bytes of anybody: the parser raises",
            "        except TypeError:\n            # Bytes of anybody: the parser raises",
            (f"{TEST_GUARD}::test_only_awaited_answers_are_read_by_the_socket_for_names",),
        ),
        Fault(
            "each kilobyte that is dropped has a line",
            DROPS,
            "if now - self._logged_ms.get(cause, now - MIN_LINE_MS) >= MIN_LINE_MS:",
            "if True:",
            ("server/rtc/guards/test_drop_log.py::test_a_cause_has_one_line_a_minute",),
        ),
        Fault(
            "a few bytes are worth a line",
            DROPS,
            "if octets < MIN_LINE_BYTES:",
            "if octets < 1:",
            ("server/rtc/guards/test_drop_log.py::test_a_little_is_not_worth_a_line",),
        ),
        Fault(
            "libraries say all they want",
            "server/logging.py",
            "if 0 <= record.created - since < REPEAT_S:",
            "if False:",
            ("server/test_logging.py::test_a_library_says_the_same_once_a_minute",),
        ),
        Fault(
            "what comes before the connection is kept without end",
            GUARD,
            "len(self._early) >= MAX_EARLY or self._early_bytes + len(data) > MAX_EARLY_BYTES",
            "False",
            (f"{TEST_GUARD}::test_what_comes_before_ice_is_settled_is_kept_within_bounds",),
        ),
        Fault(
            "it is kept of strangers, too",
            GUARD,
            "        elif address not in self._proven:\n",
            "        elif False:\n",
            (
                f"{TEST_GUARD}::test_what_comes_before_ice_is_settled_is_kept_within_bounds",
                f"{STRANGERS}::test_what_comes_before_the_connection_costs_no_memory",
            ),
        ),
        Fault(
            "what DTLS does not take is kept without end",
            GUARD,
            "if self._connection._queue.qsize() >= MAX_UNREAD:",
            "if False:",
            (f"{TEST_GUARD}::test_what_dtls_does_not_take_is_not_kept_without_end",),
        ),
    ),
)

REPORTS = Promise(
    "reports",
    "a viewer's reports, checks and sound cost the others little",
    (
        Fault(
            "every report is parsed",
            SRTP,
            "if not self._rtcp.take(len(data) / 4):",
            "if False:",
            (
                f"{TEST_SRTP}::test_a_flood_of_nacks_is_parsed_up_to_its_budget",
                f"{STRANGERS}::test_a_viewer_who_asks_for_everything_again_is_served_on",
            ),
        ),
        Fault(
            "reports are counted by packets, whatever their length",
            SRTP,
            "if not self._rtcp.take(len(data) / 4):",
            "if not self._rtcp.take():",
            (f"{TEST_SRTP}::test_a_flood_of_nacks_is_parsed_up_to_its_budget",),
        ),
        Fault(
            "every packet of sound is decoded",
            SRTP,
            "if not self._rtp.take():",
            "if False:",
            (f"{TEST_SRTP}::test_sound_has_a_budget_that_a_microphone_does_not_reach",),
        ),
        Fault(
            "a viewer has any number of senders",
            SRTP,
            "if len(self._ssrcs) < MAX_SSRCS or _ssrc(data) in self._ssrcs:",
            "if True:",
            (
                f"{TEST_SRTP}::test_a_viewer_has_few_senders",
                f"{STRANGERS}::test_a_viewer_who_asks_for_everything_again_is_served_on",
            ),
        ),
        Fault(
            "every check is parsed",
            GUARD,
            "if not self._stun.take(len(data)):",
            "if False:",
            (f"{TEST_GUARD}::test_checks_are_parsed_up_to_their_budget",),
        ),
    ),
)

STALLS = Promise(
    "stalls",
    "a viewer who still sends is kept after the server stood still",
    (
        Fault(
            "the time is judged before what waits in the sockets is read",
            "server/rtc/connection.py",
            "            await self._peer.read_waiting()\n",
            "",
            (
                f"{STRANGERS}::test_who_still_sends_is_not_dropped_after_a_stall",
                "server/test_stall.py::test_who_still_sends_is_not_dropped",
            ),
        ),
    ),
)

VOICE = Promise(
    "voice",
    "what a viewer says to a program is that program's",
    (
        Fault(
            "the avatar repeats the viewer while the program is away",
            VOICES,
            "        return self.taken_over\n",
            "        return bool(self._readers)\n",
            (f"{TEST_VOICES}::test_the_avatar_stays_silent_once_a_program_has_read",),
        ),
        Fault(
            "a program that does not read has no bound",
            VOICES,
            "self.overflown = self._room < 0",
            "self.overflown = False",
            (f"{TEST_VOICES}::test_what_is_not_read_is_bounded",),
        ),
        Fault(
            "any number of programs hear a viewer",
            VOICES,
            "if len(self._readers) >= MAX_READERS:",
            "if False:",
            (
                f"{TEST_VOICES}::test_so_many_may_read",
                "server/api/test_microphone_socket.py"
                "::test_all_that_listen_hear_and_one_too_many_is_refused",
            ),
        ),
        Fault(
            "programs hear a session that has ended",
            "server/sessions/session.py",
            "        self.voice.close()\n",
            "",
            ("server/api/test_microphone_socket.py::test_it_is_closed_with_the_session",),
        ),
    ),
)

PROMISES = (DATAGRAMS, LOGS, REPORTS, STALLS, VOICE)
