"""Compare the MuseTalk backend with recordings of the published code.

    python tests/golden_check.py FOLDER [--only KIND ...]

FOLDER holds a subfolder per kind of case (pe, whisper, unet, vae, parsing, blending, bbox, cycle,
e2e) with npz files, and `manifests/`. Prints one line a comparison; exits 1 on any FAIL and on a
kind of case it does not know.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.golden_cases.outcome import Outcome

KINDS = ("pe", "whisper", "unet", "vae", "parsing", "blending", "bbox", "cycle", "e2e")
NO_CASES = {"manifests"}


def unknown_kinds(folder: Path) -> list[str]:
    """Subfolders that this program cannot judge."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return [name for name in names if name not in KINDS and name not in NO_CASES]


def outcomes(folder: Path, kinds: tuple[str, ...] = KINDS) -> Iterator[Outcome]:
    """Every comparison of every case in `folder`."""
    for kind in kinds:
        check = importlib.import_module(f"tests.golden_cases.{kind}").check
        for path in sorted((folder / kind).glob("*.npz")):
            yield from check(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is not a folder of golden cases")
    failed = seen = 0
    for outcome in outcomes(arguments.folder, tuple(arguments.only)):
        print(outcome, flush=True)
        seen += 1
        failed += not outcome.passed
    unknown = unknown_kinds(arguments.folder)
    for name in unknown:
        print(f"FAIL     {name}/: a kind of case that this program does not know")
    print(f"{seen} comparisons, {failed + len(unknown)} failed")
    return 1 if failed or unknown or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
