"""The picture and the latents that each frame of the output shows.

Ours differs on purpose, so each recording is compared twice: with upstream's rule written down
again, which must reproduce it, and with ours, which must keep its own promises.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipstream.avatar.avatar import ping_pong
from tests.golden_cases.comparing import label, near, not_compared, read_case
from tests.golden_cases.outcome import Outcome

PLAIN = re.compile(r"src(?P<sources>\d+)_out(?P<frames>\d+)_batch(?P<batch>\d+)")
MISSING = re.compile(
    r"(BUG_)?src(?P<sources>\d+)_missing_face_at_(?P<missing>[\d_]+)_out(?P<frames>\d+)"
)
ENDS = "upstream shows the first and the last picture twice in a row; ours shows each once"
DESYNC = "upstream skips latents without a face, so mouths and pictures run apart; ours keep step"


def check(path: Path) -> list[Outcome]:
    """Compare every array of one recording."""
    case = read_case(path)
    seen, known = [], set()
    for key, rows in case.items():
        name = f"{label(path)} {key}"
        if plain := PLAIN.fullmatch(key):
            sources, frames = int(plain["sources"]), int(plain["frames"])
            seen += compare(name, rows, sources, frames, [], ENDS)
            sizes = f"{key}_batchsizes"
            if sizes in case:
                batches = batch_sizes(frames, int(plain["batch"]))
                seen.append(near(f"{label(path)} {sizes}", batches, case[sizes]))
            known |= {key, sizes}
        elif bug := MISSING.fullmatch(key):
            missing = [int(at) for at in bug["missing"].split("_")]
            sources, frames = int(bug["sources"]), int(bug["frames"])
            seen += compare(name, rows, sources, frames, missing, DESYNC)
            known |= {key}
    return seen + not_compared(path, case, known)


def compare(
    name: str,
    recorded: NDArray[np.generic],
    sources: int,
    frames: int,
    missing: list[int],
    intended: str,
) -> list[Outcome]:
    """Upstream's rule and ours beside one recording."""
    ours = our_order(sources, frames)
    sound = keeps_promises(ours, sources)
    difference = near(f"{name}, our order", ours, recorded)
    return [
        near(f"{name}, upstream's rule", upstream_order(sources, frames, missing), recorded),
        Outcome(difference.name, difference.error, 0, intended if sound else ""),
        Outcome(f"{name}, our order keeps its promises", 0.0 if sound else np.inf, 0),
    ]


def upstream_order(sources: int, frames: int, missing: list[int]) -> list[tuple[int, int]]:
    """(picture, picture of the latents): each list forward then backward, modulo its own length."""
    pictures = list(range(sources))
    latents = [source for source in pictures if source not in missing]
    pictures, latents = pictures + pictures[::-1], latents + latents[::-1]
    return [(pictures[at % len(pictures)], latents[at % len(latents)]) for at in range(frames)]


def our_order(sources: int, frames: int) -> list[tuple[int, int]]:
    """(picture, picture of the latents): latents have a row per picture, with a face or without."""
    return [(ping_pong(at, sources), ping_pong(at, sources)) for at in range(frames)]


def keeps_promises(order: list[tuple[int, int]], sources: int) -> bool:
    """Latents are the picture's own, and every picture is a neighbour of the one before."""
    shown = [picture for picture, _ in order]
    own = all(picture == latents for picture, latents in order)
    steps = {abs(after - before) for before, after in zip(shown, shown[1:], strict=False)}
    return own and shown[:1] == [0] and steps <= ({0} if sources == 1 else {1})


def batch_sizes(frames: int, batch: int) -> list[int]:
    """Full batches and what is left."""
    return [min(batch, frames - start) for start in range(0, frames, batch)]
