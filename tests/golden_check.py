"""Compare the MuseTalk backend with recordings of the published code.

    python tests/golden_check.py FOLDER [--only KIND ...]

FOLDER holds a subfolder per kind of case (pe, whisper, unet, vae, parsing, blending, bbox, cycle,
e2e) with npz files, and `manifests/`. Prints one line a comparison; exits 1 on any FAIL, which a
case that raises and a kind of case that is unknown are, too.
"""

from __future__ import annotations

import argparse
import importlib
import math
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.golden_cases.outcome import Outcome

KINDS = ("pe", "whisper", "unet", "vae", "parsing", "blending", "bbox", "cycle", "e2e")
MANIFESTS = "manifests"
OF_NETWORKS = {"whisper", "unet", "vae", "parsing", "e2e"}  # kinds that need the manifests


def unknown_kinds(folder: Path) -> list[str]:
    """Subfolders that this program cannot judge."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return [name for name in names if name not in KINDS and name != MANIFESTS]


def outcomes(folder: Path, kinds: tuple[str, ...] = KINDS) -> Iterator[Outcome]:
    """Every comparison of every case in `folder`; a case that raises is one that fails."""
    for kind in kinds:
        check = importlib.import_module(f"tests.golden_cases.{kind}").check
        for path in sorted((folder / kind).glob("*.npz")):
            try:
                compared: list[Outcome] = check(path)
            except Exception as error:  # of any kind: the other cases are judged all the same
                lines = str(error).splitlines() or [""]
                name = f"{kind}/{path.stem} raises {type(error).__name__}: {lines[0]}"
                compared = [Outcome(name, math.inf, 0)]
            yield from compared


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if not folder.is_dir():
        parser.error(f"{folder} is not a folder of golden cases")
    for kind in sorted(OF_NETWORKS.intersection(arguments.only)):
        if any((folder / kind).glob("*.npz")) and not (folder / MANIFESTS).is_dir():
            parser.error(f"{folder} has no {MANIFESTS}/, which cases of {kind} need: copy it there")
    failed = seen = 0
    for outcome in outcomes(folder, tuple(arguments.only)):
        print(outcome, flush=True)
        seen += 1
        failed += not outcome.passed
    unknown = unknown_kinds(folder)
    for name in unknown:
        print(f"FAIL     {name}/: a kind of case that this program does not know")
    print(f"{seen} comparisons, {failed + len(unknown)} failed")
    return 1 if failed or unknown or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
