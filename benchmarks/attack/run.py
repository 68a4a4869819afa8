"""One run: a server, a viewer, and the attacks by a timetable."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import secrets
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.attack import datagrams, streams, uploads
from benchmarks.attack.attacker import Attack, Attacker, NoRoomError, open_attacker
from benchmarks.attack.observations import Observations, Watched, open_viewer
from benchmarks.attack.server import Server, open_server

ATTACKS: dict[str, Attack] = {
    "odd datagrams": datagrams.flood(datagrams.odd),
    "malformed STUN": datagrams.flood(datagrams.malformed_stun),
    "DTLS, SRTP, junk": datagrams.flood(datagrams.junk),
    "datagrams before ICE": datagrams.before_ice,
    "NACK flood": datagrams.nacks,
    "key frame flood": datagrams.picture_losses,
    "silent connections": streams.silent_connections,
    "slow headers": streams.slow_headers,
    "odd headers": streams.odd_headers,
    "garbage": streams.garbage,
    "refused sockets": streams.refused_sockets,
    "unread frames": streams.unread_frames,
    "odd messages": streams.odd_messages,
    "mutants of offers": uploads.offers,
    "hostile sound": uploads.hostile_sound,
    "hostile files": uploads.hostile_files,
    "16 uploads at once": uploads.many_uploads,
}
MIXED, QUIET = "all together", "quiet"
NICENESS = 5  # below server and viewer: strangers have processors of their own
WARM_UP_S = 3.0  # of the viewer
MAX_FILES = 4096  # open at once in this process, for its silent connections
PATIENCE_S = 30.0  # for an attack to end once its time is over


@dataclass(frozen=True, slots=True)
class Timetable:
    """Seconds of each part."""

    settle: float  # before the quiet time, and between attacks
    quiet: float
    warm_up: float  # of each attack, and then as long as `mixed`; 0 for none
    attack: float
    mixed: float
    rounds: int = 1  # of the mixed part

    @classmethod
    def short(cls) -> Timetable:
        """A moment for each attack."""
        return cls(settle=0.3, quiet=5.0, warm_up=0.0, attack=0.7, mixed=4.0)

    @classmethod
    def of(cls, seconds: float, rounds: int = 1) -> Timetable:
        """A fifth of the time is quiet, a tenth mixed, a quarter warms up. Further `rounds` of the
        mixed part come on top."""
        each = seconds / len(ATTACKS)
        return cls(0.05 * each, 0.2 * seconds, 0.15 * each, 0.4 * each, 0.1 * seconds, rounds)


@dataclass(frozen=True, slots=True)
class Row:
    """One part of a run."""

    name: str
    watched: Watched
    sent: int  # bytes that the attacker sent
    logged: int  # bytes that the server's log grew meanwhile
    files: int  # open in the server at its end
    rss: int  # bytes at its end
    outcome: str = ""  # of the attack, where it could not do all


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    rows: Sequence[Row]  # the quiet one first
    warm_rss: int | None  # bytes once everything had been tried; None where nothing was
    states: Set[str]  # of the viewer's session
    errors: Sequence[str]  # of the viewer
    seconds: float


async def run(timetable: Timetable, log: Path, report: Callable[[str], object]) -> Result:
    """Attack a new server; `report` is called with the name of each part that begins."""
    _allow_files()
    began = time.monotonic()
    token = secrets.token_urlsafe(24)
    with open_server(token, log) as server, open_viewer(server, token) as seen:
        os.nice(NICENESS)
        async with open_attacker(server, token, seen.udp) as attacker:
            part = _Part(server, seen, attacker, timetable.settle, report)
            await asyncio.sleep(WARM_UP_S)
            first = len(seen.states)
            rows = [await part.watch(QUIET, _nothing, timetable.quiet)]
            warm_rss = None
            if timetable.warm_up:
                for name, attack in ATTACKS.items():
                    await part.watch(f"warm up: {name}", attack, timetable.warm_up)
                await part.watch(f"warm up: {MIXED}", _all_together, timetable.mixed)
                warm_rss = server.rss()
            for name, attack in ATTACKS.items():
                rows.append(await part.watch(name, attack, timetable.attack))
            for number in range(1, timetable.rounds + 1):
                name = f"{MIXED}, {number}" if timetable.rounds > 1 else MIXED
                rows.append(await part.watch(name, _all_together, timetable.mixed))
            states, errors = set(seen.states[first:]), tuple(seen.errors)
    return Result(rows, warm_rss, states, errors, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Part:
    server: Server
    seen: Observations
    attacker: Attacker
    settle_s: float
    report: Callable[[str], object]

    async def watch(self, name: str, attack: Attack, seconds: float) -> Row:
        """Let `attack` go on for `seconds`."""
        self.report(name)
        await asyncio.sleep(self.settle_s)
        logged, sent = self.server.log_bytes(), self.attacker.sent
        began = time.monotonic()
        outcome = await _attempt(attack, self.attacker, began + seconds)
        ended = time.monotonic()
        await asyncio.sleep(self.settle_s)  # for the viewer to tell the last of it
        return Row(
            name,
            self.seen.between(began, ended),
            self.attacker.sent - sent,
            self.server.log_bytes() - logged,
            self.server.files(),
            self.server.rss(),
            outcome,
        )


async def _attempt(attack: Attack, attacker: Attacker, until: float) -> str:
    """Run `attack`; the outcome is empty where it could do all it wanted."""
    try:
        patience = until - time.monotonic() + PATIENCE_S
        await asyncio.wait_for(attack(attacker, until), patience)
    except NoRoomError:
        await asyncio.sleep(max(until - time.monotonic(), 0))
        return "no session for the attacker"
    except (httpx.TransportError, ConnectionError) as error:
        await asyncio.sleep(max(until - time.monotonic(), 0))
        return f"refused: {type(error).__name__}"
    except asyncio.TimeoutError:
        return f"did not end within {PATIENCE_S:.0f} s"
    return ""


async def _nothing(attacker: Attacker, until: float) -> None:
    await asyncio.sleep(until - time.monotonic())


async def _all_together(attacker: Attacker, until: float) -> None:
    attempts = (_attempt(attack, attacker, until) for attack in ATTACKS.values())
    await asyncio.gather(*attempts)


def _allow_files() -> None:
    """Raise the limit of open files as far as allowed: the attacker has more sockets than most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
