"""Every portrait and clip of a folder, measured: does the mouth belong to its picture?

    python -m benchmarks.faces FOLDER ... [--out DIR] [--against OLD_SRC] [--json FILE]
        [--variants] [--quick] [--only TEXT ...]

Each face is drawn by the puppet at rest, in soft, medium and widest poses and through human
sentences; clips through silence too. `--against` has another version of the sources draw the same
faces in the same run: a measure that passes yesterday's faults measures nothing.
`benchmarks/README.md` explains the figures. Exits with 1 when a face fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.cpu.faces import report, sheets, variants
from benchmarks.cpu.faces.drawn import SRC, Drawn, draw
from benchmarks.cpu.faces.judge import Figures, judge
from benchmarks.cpu.faces.performance import Performance, perform
from lipstream.avatar.face.finder import FaceFinder
from lipstream.media.pictures.picture_file import picture_kind

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".mp4", ".mov", ".webm", ".mkv")


def main() -> None:
    options = _options()
    performance = perform(options.clips, options.quick)
    versions = {"now": SRC}
    if options.against:
        versions["against"] = options.against
    records = {}
    passed = True
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        faces = _faces(options, performance, Path(folder))
        for version, src in versions.items():
            figures, refused = _measure(
                faces, performance, Path(folder) / version, src, options.out, version
            )
            print(report.table(figures, refused, f"{version}: {src}"), flush=True)
            records[version] = report.record(figures, refused)
            if version == "now":
                passed = not refused and not any(one.failures() for one in figures)
    print(report.LEGEND)
    if options.json:
        report.write(options.json, [one.name for one in performance.sentences], records)
    sys.exit(0 if passed else 1)


def _faces(options: argparse.Namespace, performance: Performance, folder: Path) -> list[Path]:
    """The files to measure, derived ones included."""
    found = [
        path
        for place in options.faces
        for path in ([place] if place.is_file() else sorted(place.iterdir()))
        if path.suffix.lower() in SUFFIXES
    ]
    if options.only:
        found = [path for path in found if any(text in path.name for text in options.only)]
    if options.variants:
        derived = folder / "variants"
        derived.mkdir()
        for path in [path for path in found if picture_kind(path) == "still"]:
            found += variants.write(path, derived)
            drawn = draw(path, performance, ("poses",), folder / f"{path.name}_opened")
            found += [] if drawn.refused else variants.write_opened(drawn, derived)
    return found


def _measure(
    faces: Sequence[Path],
    performance: Performance,
    folder: Path,
    src: Path,
    out: Path | None,
    version: str,
) -> tuple[list[Figures], dict[str, str]]:
    finder = FaceFinder()
    figures, refused = [], {}
    folder.mkdir()
    for path in faces:
        still = picture_kind(path) == "still"
        parts = ("poses", "speech") if still else ("poses", "speech", "silence")
        with tempfile.TemporaryDirectory(dir=folder) as place:
            drawn = draw(path, performance, parts, Path(place) / "face", src)
            if drawn.refused is not None:
                refused[path.name] = drawn.refused
                continue
            grey = _grey(path, performance, Path(place), src) if still else None
            figures.append(judge(finder, drawn, performance, grey))
            if out is not None:
                suffix = "" if version == "now" else f"_{version}"
                sheets.write(drawn, out / f"faces_{path.stem}{suffix}.jpg")
        print(f"   {version} {path.name}", file=sys.stderr, flush=True)
    return figures, refused


def _grey(path: Path, performance: Performance, folder: Path, src: Path) -> Drawn | None:
    """The same face without colour, its poses alone; None where that is refused."""
    copy = variants.grey(path, folder)
    drawn = draw(copy, performance, ("poses",), folder / "without_colour", src)
    return None if drawn.refused is not None else drawn


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "faces", type=Path, nargs="+", help="folders of, or single, pictures and clips"
    )
    parser.add_argument("--out", type=Path, help="write contact sheets into this folder")
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--against", type=Path, metavar="SRC", help="also draw with these sources")
    parser.add_argument(
        "--clips", type=Path, nargs="+", default=[], help="folders of further speech"
    )
    parser.add_argument("--variants", action="store_true", help="derived pictures of each portrait")
    parser.add_argument("--quick", action="store_true", help="one sentence instead of three")
    parser.add_argument("--only", nargs="+", help="files whose names hold one of these")
    parser.add_argument("--scratch", type=Path, help="folder for frames, some 300 MB a face")
    options = parser.parse_args()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    main()
