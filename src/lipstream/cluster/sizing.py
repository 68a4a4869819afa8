"""The number of workers that a machine is given, and each worker's share of it.

A session takes 0.27 to 0.34 of a core, all threads and drawing processes together, and one event
loop has room for some 12: so a worker of the puppet backend fills 4 cores.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec

from lipstream.errors import OptionError

CORES_PER_WORKER = 4
COUNT_S = 60.0  # to load PyTorch
COUNT_DEVICES = "import torch; print(torch.cuda.device_count())"


@dataclass(frozen=True, slots=True)
class Shares:
    """The workers and what each is given."""

    workers: int
    cores: int  # of each
    devices: int = 0  # CUDA devices that they take by turns; 0: none is chosen for them

    def device(self, place: int) -> str | None:
        """The device of the worker in this place, where there are several."""
        return f"cuda:{place % self.devices}" if self.devices > 1 else None


def share_machine(
    workers: int | None, cores: int, devices: int, max_sessions: int | None
) -> Shares:
    """The shares of `workers`, or as many as fit; OptionError when there are more than sessions.

    For example, 64 cores without a GPU are 16 workers of 4; 8 GPUs and 64 cores, 8 of 8.
    """
    if workers is None:
        workers = devices or max(1, -(-cores // CORES_PER_WORKER))
        workers = workers if max_sessions is None else min(workers, max_sessions)
    if max_sessions is not None and workers > max_sessions:
        raise OptionError(
            f"--max-sessions {max_sessions} is less than --workers {workers}; each worker holds "
            "one session at least."
        )
    return Shares(workers, max(1, cores // workers), devices)


def cuda_devices() -> int:
    """CUDA devices that PyTorch sees, counted in a process of its own: the front needs no torch."""
    if find_spec("torch") is None:
        return 0
    try:
        done = subprocess.run(
            [sys.executable, "-c", COUNT_DEVICES], capture_output=True, text=True, timeout=COUNT_S
        )
        return int(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0
