"""Decides which worker gets the next session. No clock and no network: loads come in, an order out.

The worker with the largest free share of its places comes first, of 16 taken by chance where more
have room. What was placed counts at once, as a load is always a little old: of two workers with 4
places each, of which one is free on the first and two on the second, sessions go to the second,
then to either, and not three to the second.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

MAX_COMPARED = 16  # workers with room, taken by chance, of which the best come first
MAX_TRIED = 16  # workers that are asked for one session
MAX_FULL_TRIED = 2  # of those that have no room by their last word, which may be outdated


@dataclass(frozen=True, slots=True)
class WorkerLoad:
    """A worker's answer to `GET /v1/load`."""

    sessions: int
    sessions_max: int
    free: int  # sessions of its dearest avatar that may still be opened
    speaking: int = 0
    draining: bool = False
    overloaded: bool = False
    late_share: float = 0.0

    @classmethod
    def parse(cls, answer: Mapping[str, Any]) -> WorkerLoad:
        """The load in an answer's JSON. ValueError when a figure is missing or of another type."""
        known: dict[str, Any] = {}
        for field in fields(cls):
            value = answer.get(field.name)
            kind = {"bool": bool, "float": (int, float)}.get(str(field.type), int)
            odd = isinstance(value, bool) and kind is not bool  # to Python a bool is an int
            if odd or not isinstance(value, kind):  # type: ignore[arg-type]
                raise ValueError(f"{field.name} is {value!r}")
            known[field.name] = value
        return cls(**known)


@dataclass(slots=True)
class _Worker:
    load: WorkerLoad
    opening: int = 0  # sessions that are being opened
    opened: int = 0  # so far
    counted: int = 0  # of these, those that `load` knows of
    refused: bool = False  # since `load`

    @property
    def free(self) -> int:
        placed = self.opening + self.opened - self.counted
        return 0 if self.refused else self.load.free - placed

    @property
    def share(self) -> float:
        """The free share of its places; of equal shares a larger worker's lasts longer."""
        return self.free / max(self.load.sessions_max, 1)


class Placement:
    """The loads of all workers, by their ids, and what was placed since."""

    def __init__(self, seed: int | None = None) -> None:
        """Equals are taken in turns by chance; a `seed` makes that repeatable."""
        self._workers: dict[str, _Worker] = {}
        self._random = random.Random(seed)

    def __contains__(self, worker: str) -> bool:
        return worker in self._workers

    def mark(self, worker: str) -> int:
        """The sessions placed there so far; to be read before its load is asked for."""
        known = self._workers.get(worker)
        return 0 if known is None else known.opened

    def observe(self, worker: str, load: WorkerLoad, mark: int | None = None) -> None:
        """Learn the worker's load; sessions placed since `mark` was read are not yet in it."""
        known = self._workers.setdefault(worker, _Worker(load))
        known.load, known.refused = load, False
        known.counted = known.opened if mark is None else min(mark, known.opened)

    def forget(self, worker: str) -> None:
        """The worker is gone, or does not answer. Does nothing for an unknown one."""
        self._workers.pop(worker, None)

    def begin(self, worker: str) -> None:
        """A session is about to be opened there."""
        if worker in self._workers:
            self._workers[worker].opening += 1

    def end(self, worker: str, *, opened: bool = False, full: bool = False) -> None:
        """It was opened, or refused for want of room, or for another reason."""
        known = self._workers.get(worker)
        if known is None:  # gone meanwhile
            return
        known.opening = max(0, known.opening - 1)
        known.opened += opened
        known.refused = known.refused or full

    def order(self) -> list[str]:
        """The workers to ask for one more session, the best first; at most `MAX_TRIED`, and of
        those that should have no room at most `MAX_FULL_TRIED`. None that drains."""
        there = [(id, one) for id, one in self._workers.items() if not one.load.draining]
        room = [pair for pair in there if pair[1].free > 0]
        if len(room) > MAX_COMPARED:
            # Fronts with the same old loads must not all choose the same few workers.
            room = self._random.sample(room, MAX_COMPARED)
        full = [pair for pair in there if pair[1].free <= 0]
        chosen = self._best(MAX_TRIED, room)
        return chosen + self._best(min(MAX_FULL_TRIED, MAX_TRIED - len(chosen)), full)

    def any_order(self) -> list[str]:
        """All workers for what any of them can answer, the least used first."""
        return self._best(MAX_TRIED, list(self._workers.items()))

    def loads(self) -> dict[str, WorkerLoad]:
        """The last loads of all workers that answer."""
        return {id: one.load for id, one in self._workers.items()}

    def _best(self, most: int, workers: list[tuple[str, _Worker]]) -> list[str]:
        ranked = ((-one.share, self._random.random(), id) for id, one in workers)
        return [id for _, _, id in heapq.nsmallest(most, ranked)]
