"""Mutation tests of what is promised: put faults into the program, and see the tests fail.

    python -m tests.faults [PROMISE ...]

Each fault is put into a copy of the package in a temporary folder; then the tests run that are
there because of it. Prints a line for each, and exits with 1 unless all were noticed. A fault whose
place in the source has changed is stale, and no better than one that nobody notices.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.faults.catalogue import PROMISES
from tests.faults.trial import Outcome, attempt, passing


def main() -> None:
    """Parse the call and try the faults of the promises named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("promises", nargs="*", metavar="PROMISE", help=f"{', '.join(PROMISES)}")
    names = parser.parse_args().promises or list(PROMISES)
    if unknown := [name for name in names if name not in PROMISES]:
        parser.error(f"there is no promise {unknown[0]!r}; use {', '.join(PROMISES)}.")
    began, verdicts = time.monotonic(), list[str]()
    for name in names:
        promise = PROMISES[name]
        print(f"\n{name}: {promise.text}", flush=True)
        tests = sorted({test for fault in promise.faults for test in fault.tests})
        whole = passing(tests)
        print(f"  without a fault: {_ending(whole.code, len(tests))}, {whole.seconds:.0f} s")
        for fault in promise.faults:
            for test in fault.tests:
                found = attempt(fault, test)
                if whole.code != 0:
                    found = Outcome("fails without it", whole.reason, found.seconds)
                verdicts.append(found.verdict)
                print(f"  {found.verdict:<12}{found.seconds:5.0f} s  {fault.what}")
                print(f"  {'':<21}{test}: {found.reason[:150]}", flush=True)
    noticed = verdicts.count("noticed")
    seconds = time.monotonic() - began
    print(f"\n{noticed} of {len(verdicts)} were noticed; it took {seconds:.0f} s.")
    sys.exit(noticed != len(verdicts))


def _ending(code: int | None, count: int) -> str:
    if code == 0:
        return f"{count} tests pass"
    return "tests fail, so nothing below counts" if code is not None else "tests do not end"


if __name__ == "__main__":
    main()
