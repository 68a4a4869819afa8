"""The command line: `render`, `prepare`, `score`, `serve`, `stream`, `models` and some more."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code. Never raises for what a user can cause."""
    # Read when numpy and OpenCV load. Their matrices are small here: a second thread only spins.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from lipstream.cli.program import run  # takes long enough for a Ctrl-C

        return run(arguments)
    except KeyboardInterrupt:
        if sys.stderr is not None:
            start = "\n" if sys.stderr.isatty() else ""  # after the terminal's own ^C
            print(f"{start}lipstream: interrupted.", file=sys.stderr)
        return 1
