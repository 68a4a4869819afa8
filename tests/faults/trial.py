"""Runs tests on a copy of the package with a fault in it, and tells what came of them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import lipstream
from tests.faults.fault import Fault, StaleFaultError

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(lipstream.__file__).parent
MAX_S = 300.0  # for one test; a fault that makes it hang is not noticed
SOME_FAILED = 1  # exit code of pytest; others say that it could not run them
RESULT = re.compile(r"^tests/.+? (PASSED|FAILED|ERROR|SKIPPED)\b", re.MULTILINE)
REASON = re.compile(r"^(?:FAILED|ERROR|SKIPPED) .+?(?: - |: )(.*)$", re.MULTILINE)
QUIET = ("-v", "-x", "--tb=no", "-p", "no:cacheprovider")

Verdict = Literal[
    "noticed", "NOT NOTICED", "fails without it", "skipped", "hung", "stale", "broken"
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a fault and a test."""

    verdict: Verdict
    reason: str = ""  # what the test said
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """The result of tests alone."""

    code: int | None  # of pytest; None where it did not end in time
    results: frozenset[str]
    reason: str  # of the first that did not pass
    seconds: float


def passing(tests: Sequence[str]) -> Run:
    """Run tests on the package as it is."""
    return run_tests(tests, PACKAGE, MAX_S * len(tests))


def attempt(fault: Fault, test: str) -> Outcome:
    """Run a test on a copy of the package with the fault."""
    try:
        with planted(fault) as package:
            run = run_tests([test], package, MAX_S)
    except StaleFaultError as error:
        return Outcome("stale", str(error))
    verdict: Verdict = "NOT NOTICED"
    if run.code is None:
        verdict = "hung"
    elif run.code == SOME_FAILED and run.results & {"FAILED", "ERROR"}:
        verdict = "noticed"
    elif run.code != 0:
        verdict = "broken"
    elif run.results == {"SKIPPED"}:
        verdict = "skipped"
    return Outcome(verdict, run.reason, run.seconds)


@contextmanager
def planted(fault: Fault) -> Iterator[Path]:
    """A copy of the package with the fault, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="lipstream-fault-") as folder:
        package = Path(folder) / PACKAGE.name
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        fault.plant(package)
        yield package


def run_tests(tests: Sequence[str], package: Path, patience_s: float) -> Run:
    """Run tests, and end them with all that they started after `patience_s`."""
    names = [f"tests/{test}" for test in tests]
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "OMP_NUM_THREADS": "1",
                   "COLUMNS": "250", "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *QUIET, *names],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=patience_s)
            code: int | None = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, code = process.communicate()[0], None
        except KeyboardInterrupt:  # it has a group of its own, which hears of none
            os.killpg(process.pid, signal.SIGKILL)
            raise
    reason = REASON.search(said)
    return Run(
        code,
        frozenset(RESULT.findall(said)),
        reason[1].strip() if reason else said.strip().rpartition("\n")[2],
        time.monotonic() - began,
    )
