"""Faults of TCP, HTTP and WebSockets: places, headers, sockets that nobody reads."""

from __future__ import annotations

from tests.faults.fault import Fault, Promise

TABLE = "server/http/connection_table.py"
HTTP = "server/http/http_protocol.py"
UVICORN = "server/http/uvicorn_server.py"
WEBSOCKET = "server/http/websocket_protocol.py"
ACCESS = "server/security/access.py"
FILES = "server/http/open_files.py"
TEST_CONNECTIONS = "server/security/test_connections.py"
TEST_TABLE = "server/http/test_connection_table.py"
TEST_WEBSOCKET = "server/http/test_websocket_protocol.py"
TEST_HEADERS = "server/security/test_header_values.py"
SILENT = "server/test_silent_connections.py"

CONNECTIONS = Promise(
    "connections",
    "silent connections cost a live session nothing, and keep nobody out",
    (
        Fault(
            "there may be any number of connections",
            TABLE,
            "if len(self._networks) >= self._most and not self._make_room():",
            "if False:",
            (
                f"{TEST_TABLE}::test_the_oldest_silent_one_makes_room",
                f"{SILENT}::test_a_live_session_keeps_its_frames_and_probes_their_answers",
            ),
        ),
        Fault(
            "one address may have all places",
            TABLE,
            "full = not shared and self._counts[network] >= self._most_per_network",
            "full = False",
            (
                f"{TEST_TABLE}::test_a_network_has_a_limit_of_its_own_unless_many_share_it",
                f"{TEST_CONNECTIONS}::test_one_address_has_no_more_than_its_share",
            ),
        ),
        Fault(
            "one that is served makes room as well",
            TABLE,
            "if network in (None, one) and not connection.admitted",
            "if network in (None, one)",
            (f"{TEST_TABLE}::test_one_that_is_served_never_makes_room",),
        ),
        Fault(
            "a refused request whose body goes on holds its place",
            HTTP,
            "return cycle is not None and not cycle.response_complete and ADMITTED in cycle.scope",
            "return cycle is not None",
            (f"{TEST_CONNECTIONS}::test_a_body_without_a_token_holds_no_place",),
        ),
        Fault(
            "a header may take for ever",
            HTTP,
            "            self._deadline = self.loop.call_later(HEADER_S, self._time_out)\n",
            "            pass\n",
            ("server/security/test_flood.py::test_a_header_has_a_deadline_each_time",),
        ),
        Fault(
            "a client that does not read stays for ever",
            HTTP,
            "        self._stall = self.loop.call_later(STALL_S, self.abort)\n",
            "",
            (f"{TEST_CONNECTIONS}::test_a_client_that_does_not_read_is_disconnected",),
        ),
        Fault(
            "the limit of open files is not raised",
            FILES,
            "resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, MAX_OPEN_FILES), hard))",
            "raise OSError",
            (
                f"{TEST_CONNECTIONS}::test_the_soft_limit_of_open_files_is_raised_or_the_start"
                "_refused",
            ),
        ),
        Fault(
            "the server starts with too few files",
            FILES,
            "if soft != resource.RLIM_INFINITY and soft < needed:",
            "if False:",
            (f"{SILENT}::test_too_few_open_files_are_a_sentence_at_the_start",),
        ),
    ),
)

PROBES = Promise(
    "probes",
    "liveness and readiness are always answered",
    (
        Fault(
            "requests beyond a number of connections are refused, probes as well",
            UVICORN,
            "        backlog=BACKLOG,\n",
            "        backlog=BACKLOG,\n"
            "        limit_concurrency=manager.settings.max_connections,\n",
            (
                f"{TEST_CONNECTIONS}::test_probes_are_answered_however_many_connections_sit_there",
                f"{SILENT}::test_a_live_session_keeps_its_frames_and_probes_their_answers",
            ),
        ),
        Fault(
            "probes have no places of their own",
            HTTP,
            "self.reserved = ConnectionTable(RESERVED, RESERVED)",
            "self.reserved = ConnectionTable(0, 0)",
            (f"{TEST_CONNECTIONS}::test_probes_are_answered_where_every_place_is_in_use",),
        ),
    ),
)

SOCKETS = Promise(
    "sockets",
    "a WebSocket that does not read costs no memory, and is gone 5 s after its session",
    (
        Fault(
            "pings are answered while nobody reads the pongs",
            WEBSOCKET,
            "waits = self.read_paused or not self.writable.is_set()",
            "waits = self.read_paused",
            (f"{TEST_WEBSOCKET}::test_pings_are_not_read_while_nobody_reads_the_pongs",),
        ),
        Fault(
            "a full socket outlives its session",
            WEBSOCKET,
            "self._abort_timer = self.loop.call_later(LINGER_S, self.transport.abort)",
            "pass",
            (f"{TEST_WEBSOCKET}::test_pings_are_not_read_while_nobody_reads_the_pongs",),
        ),
        Fault(
            "frames that carry nothing are not counted",
            WEBSOCKET,
            "if not self._bare_frames.take() and not self.close_sent:",
            "if False:",
            (f"{TEST_WEBSOCKET}::test_frames_that_carry_nothing_are_counted",),
        ),
        Fault(
            "empty fragments are kept as a list",
            WEBSOCKET,
            "        if event.data or event.fin:\n",
            "        if True:\n",
            (f"{TEST_WEBSOCKET}::test_frames_that_carry_nothing_are_counted",),
        ),
        Fault(
            "a refused WebSocket is an error in the log",
            WEBSOCKET,
            "            self.handshake_complete = True  # with a response instead\n",
            "",
            (f"{TEST_CONNECTIONS}::test_a_refused_websocket_is_one_line_of_the_log",),
        ),
        Fault(
            "text that is no UTF-8 is an error in the log",
            WEBSOCKET,
            'if self.curr_msg_data_type == "text" and not self.close_sent:',
            "if False:",
            (f"{TEST_CONNECTIONS}::test_text_that_is_no_utf8_closes_the_socket_and_is_no_error",),
        ),
    ),
)

HEADERS = Promise(
    "headers",
    "whatever a header says, the answer is one of ours, and lies are not believed",
    (
        Fault(
            "an origin is taken apart as an address",
            ACCESS,
            "        same = ORIGIN.fullmatch(origin)\n"
            "        return same is None or same[1] != host",
            "        return urlsplit(origin).netloc != host",
            (
                f"{TEST_HEADERS}::test_an_origin_that_is_none_is_a_foreign_one",
                f"{TEST_HEADERS}::test_no_value_of_a_header_is_a_fault",
            ),
        ),
        Fault(
            "a length may be written in any digits",
            "server/security/middleware.py",
            "if announced.isdecimal() and int(announced[:20]) > limit:",
            "if announced.isdigit() and int(announced[:20]) > limit:",
            (f"{TEST_HEADERS}::test_no_value_of_a_header_is_a_fault",),
        ),
        Fault(
            "what follows a request of two lengths is taken for a request",
            HTTP,
            "if FRAMING <= {name for name, _ in self.headers}:",
            "if False:",
            (f"{TEST_CONNECTIONS}::test_what_follows_a_request_of_two_lengths_is_no_request",),
        ),
        Fault(
            "an address that was forwarded is believed of this machine",
            UVICORN,
            "        proxy_headers=bool(proxies),\n        forwarded_allow_ips=proxies,\n",
            "        proxy_headers=True,\n        forwarded_allow_ips=proxies or None,\n",
            (f"{TEST_CONNECTIONS}::test_a_forwarded_address_is_believed_of_a_trusted_proxy_only",),
        ),
        Fault(
            "pages elsewhere can show pictures",
            ACCESS,
            'return headers.get("sec-fetch-site", "none").strip().lower() in FOREIGN_SITES',
            "return False",
            ("server/security/test_access.py::test_a_page_elsewhere_cannot_show_what_is_here",),
        ),
        Fault(
            "a picture does not say that it is for pages of this server",
            "server/security/middleware.py",
            '    "Cross-Origin-Resource-Policy": "same-origin",\n',
            "",
            ("server/security/test_access.py::test_a_page_elsewhere_cannot_show_what_is_here",),
        ),
    ),
)

PROMISES = (CONNECTIONS, PROBES, SOCKETS, HEADERS)
