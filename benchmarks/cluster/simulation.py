"""A cluster in virtual time: fronts that place sessions by loads as old as theirs really are.

The placement is the one that `lipstream front` uses, and so are the rounds in which a front looks
at its workers: with 1000 of them each load is up to 10 s old, and fronts do not know what others
have placed since. Clients come at random (Poisson), stay an exponential time, and leave when they
are refused; those whose worker died come again until they are in. Nothing here waits, and nothing
is left to chance: the same scenario gives the same result, bit for bit.
"""

from __future__ import annotations

import heapq
import itertools
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from lipstream.cluster.front.http_proxy import FRESH_MS
from lipstream.cluster.front.watch import LOOK_MS, WORKER_MS
from lipstream.cluster.placement import Placement, WorkerLoad

REQUEST_MS = 10.0  # from a front to a worker; the same back
OPEN_MS = 40.0  # a worker's time to open a session
AGAIN_MS = (500.0, 5_000.0)  # after which a client whose session was lost comes again
RETRY_MS = 10_000.0  # Retry-After of a full server
SAMPLE_MS = 5_000.0  # between two samples of the imbalance
Event: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """The cluster and who comes."""

    workers: int
    sessions: int  # that clients ask for, in all
    fronts: int = 1
    places: tuple[int, int] = (4, 12)  # of a worker, at least and at most
    load: float = 0.95  # sessions that would be open if all fitted, over places
    stay_s: float = 300.0  # a session's mean duration
    dead_share: float = 0.0  # of the workers, in the middle of the run
    restart_s: float = 20.0  # until another worker is in a dead one's place
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The figures of a run; shares are of 1."""

    asked: int  # requests for a session, again after a loss too
    refused: int
    refused_while_free: int  # of these, while a worker had room
    mean_used: float  # share of all places
    imbalance: float  # standard deviation of the workers' used shares, mean of all samples
    tries: float  # workers that were asked for one session, in the mean
    lost: int  # sessions on workers that died
    recovered_s: float  # until the last of these was open again

    @property
    def wrongly_refused(self) -> float:
        """Share of the requests that were refused although a worker had room."""
        return self.refused_while_free / max(1, self.asked)


@dataclass(slots=True)
class _Worker:
    id: str
    places: int
    open: dict[int, bool] = field(default_factory=dict)  # by the client's number
    alive: bool = True

    def load(self) -> WorkerLoad:
        return WorkerLoad(len(self.open), self.places, self.places - len(self.open))


class Simulation:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._random = random.Random(scenario.seed)
        self._now = 0.0  # ms
        self._events: list[tuple[float, int, Event]] = []
        self._order = itertools.count()
        low, high = scenario.places
        self._workers = {
            f"w{n}": _Worker(f"w{n}", self._random.randint(low, high))
            for n in range(scenario.workers)
        }
        self._placements = [Placement(scenario.seed + n) for n in range(scenario.fronts)]
        self._due = {placement: 0.0 for placement in self._placements}  # of the next look, ms
        self._total = sum(worker.places for worker in self._workers.values())
        self._used = 0
        self._asked = self._refused = self._refused_while_free = self._tries = 0
        self._samples: list[tuple[float, float]] = []
        self._away: set[int] = set()  # clients whose worker died and who are not back
        self._lost = 0
        self._died_ms = self._back_ms = 0.0
        self._arrivals = scenario.sessions

    def run(self) -> Outcome:
        """The outcome, when the last client has asked and those that lost a session are back."""
        scenario = self._scenario
        every_ms = 1000 * scenario.stay_s / (scenario.load * self._total)
        for number, placement in enumerate(self._placements):
            self._at(number * LOOK_MS / scenario.fronts, partial(self._look, placement))
        self._at(1_000.0, lambda: self._arrive(every_ms))
        self._at(SAMPLE_MS, self._sample)
        if scenario.dead_share:
            self._at(1_000.0 + every_ms * scenario.sessions / 2, self._die)
        while self._events and (self._arrivals or self._away):
            self._now, _, event = heapq.heappop(self._events)
            event()
        settled = self._samples[len(self._samples) // 4 :]  # without the time in which it fills
        return Outcome(
            self._asked,
            self._refused,
            self._refused_while_free,
            round(statistics.fmean(used for used, _ in settled), 4),
            round(statistics.fmean(spread for _, spread in settled), 4),
            round(self._tries / max(1, self._asked), 3),
            self._lost,
            round((self._back_ms - self._died_ms) / 1000, 1) if self._lost else 0.0,
        )

    def _at(self, when_ms: float, event: Event) -> None:
        heapq.heappush(self._events, (when_ms, next(self._order), event))

    def _look(self, placement: Placement) -> None:
        """A front's round: every load is asked for at once, and comes a moment later."""
        marks = {id: placement.mark(id) for id in self._workers}
        self._at(self._now + REQUEST_MS, lambda: self._tell(placement, marks))
        round_ms = max(LOOK_MS, WORKER_MS * len(self._workers))
        self._due[placement] = self._now + round_ms
        self._at(self._due[placement], lambda: self._look(placement))

    def _tell(self, placement: Placement, marks: dict[str, int]) -> None:
        loads = {id: self._workers[id].load() for id in marks if id in self._workers}

        def learn() -> None:
            for id in placement.loads().keys() - loads.keys():  # nobody listens there any more
                placement.forget(id)
            for id, load in loads.items():
                placement.observe(id, load, marks[id])

        self._at(self._now + REQUEST_MS, learn)

    def _arrive(self, every_ms: float) -> None:
        self._arrivals -= 1
        self._ask(self._arrivals)
        if self._arrivals:
            self._at(
                self._now + self._random.expovariate(1 / every_ms), lambda: self._arrive(every_ms)
            )

    def _ask(self, client: int) -> None:
        """A client asks any front, which asks its workers in order."""
        placement = self._random.choice(self._placements)
        self._asked += 1
        self._try(client, placement, placement.order(), fresh=False)

    def _try(self, client: int, placement: Placement, order: list[str], fresh: bool) -> None:
        if not order:
            wait = self._due[placement] - self._now
            if fresh or wait > FRESH_MS:
                self._refuse(client)
                return
            self._at(
                self._due[placement] + 2 * REQUEST_MS + 1,
                lambda: self._try(client, placement, placement.order(), fresh=True),
            )
            return
        id, *others = order
        placement.begin(id)
        self._tries += 1
        self._at(self._now + REQUEST_MS, lambda: self._open(client, placement, id, others, fresh))

    def _open(
        self, client: int, placement: Placement, id: str, others: list[str], fresh: bool
    ) -> None:
        worker = self._workers.get(id)
        room = worker is not None and len(worker.open) < worker.places
        if worker is not None and room:
            worker.open[client] = True
            self._used += 1
            stay = self._random.expovariate(1 / (1000 * self._scenario.stay_s))
            self._at(self._now + OPEN_MS + stay, lambda: self._leave(client, worker))

        def answered() -> None:
            placement.end(id, opened=room, full=worker is not None and not room)
            if worker is None:
                placement.forget(id)
            if room:
                self._arrived(client)
            else:
                self._try(client, placement, others, fresh)

        self._at(self._now + REQUEST_MS + (OPEN_MS if room else 0.0), answered)

    def _arrived(self, client: int) -> None:
        if client in self._away:
            self._away.discard(client)
            self._back_ms = self._now

    def _refuse(self, client: int) -> None:
        self._refused += 1
        self._refused_while_free += self._used < self._total
        if client in self._away:
            self._at(self._now + RETRY_MS, lambda: self._ask(client))

    def _leave(self, client: int, worker: _Worker) -> None:
        if worker.open.pop(client, False):
            self._used -= worker.alive

    def _die(self) -> None:
        """Kill some workers with all their sessions; others take their places after a while."""
        self._died_ms = self._now
        count = round(self._scenario.dead_share * len(self._workers))
        for id in self._random.sample(sorted(self._workers), count):
            worker = self._workers.pop(id)
            worker.alive = False
            self._used -= len(worker.open)
            self._total -= worker.places
            self._lost += len(worker.open)
            for client in worker.open:
                self._away.add(client)
                wait = self._random.uniform(*AGAIN_MS)
                self._at(self._now + wait, partial(self._ask, client))
            worker.open.clear()
            after = self._now + 1000 * self._scenario.restart_s
            self._at(after, partial(self._replace, worker))

    def _replace(self, dead: _Worker) -> None:
        self._workers[f"{dead.id}r1"] = _Worker(f"{dead.id}r1", dead.places)
        self._total += dead.places

    def _sample(self) -> None:
        shares = [len(worker.open) / worker.places for worker in self._workers.values()]
        self._samples.append((self._used / self._total, statistics.pstdev(shares)))
        self._at(self._now + SAMPLE_MS, self._sample)
