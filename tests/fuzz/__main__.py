"""Look for inputs that make a parser raise what it should not, guided by coverage.

    python -m tests.fuzz TARGET [--seconds N] [--found DIR]

Needs the extra `fuzz`: atheris (Apache-2.0), for Python 3.11 to 3.13 on Linux. Begins with the
committed corpus, writes what reached something new to DIR, and an input that was a fault to
DIR/crash-HASH; then the exit code is not 0.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS

MAX_BYTES = 16 * 1024  # of an input
MAX_S, MAX_MB = 5, 2048  # that one input may take


def main() -> None:
    """Parse the call and fuzz; atheris ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--found", type=Path, default=Path("results/fuzz"))
    call = parser.parse_args()
    try:
        import atheris
    except ImportError:
        sys.exit("tests.fuzz: atheris is missing; install it with pip install -e '.[fuzz]'.")
    found: Path = call.found / call.target
    found.mkdir(parents=True, exist_ok=True)
    target = TARGETS[call.target]
    with atheris.instrument_imports(include=list(target.packages)):
        opened = target.open()
    limits = [f"-max_total_time={call.seconds}", f"-max_len={MAX_BYTES}", f"-timeout={MAX_S}"]
    limits += [f"-rss_limit_mb={MAX_MB}", "-print_final_stats=1", f"-artifact_prefix={found}/"]
    with opened as check:
        atheris.Setup([sys.argv[0], *limits, str(found), str(CORPUS / call.target)], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
