"""The speed and the memory of rendering talking faces.

    python -m benchmarks.cpu.render [--sizes NAME ...] [--runs N] [--hour] [--out FILE]
    python -m benchmarks.cpu.render --against CHECKOUT [--sizes NAME ...] [--runs N] [--out FILE]

Prints milliseconds per frame by stage for several sizes of picture, then whole runs of
`lipstream render`: times real time, import time, peak memory. Figures stand next to their targets;
nothing fails. One process; OpenCV uses the cores it finds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cpu.cli_runs import (
    ROOT,
    FileTimes,
    import_ms,
    time_checkouts,
    time_file,
    write_speech,
)
from benchmarks.cpu.frame_times import FrameTimes, time_frames
from benchmarks.cpu.scenes import SCENES, Scene
from benchmarks.machine import describe

FILE_SCENES = ("512x512", "1280x720 bust")
TIMES_REAL_TIME, PEAK_MB = 5.0, 400.0  # targets
COMPARED_SECONDS = 60
SECONDS = 120  # of speech in a whole run: the start of the program is in it too
HOUR = 3600


def main() -> None:
    options = _options()
    scenes = [scene for scene in SCENES if not options.sizes or scene.name in options.sizes]
    if options.against:
        _compare(options, [scene for scene in scenes if scene.name in FILE_SCENES])
    else:
        _measure(options, scenes)


def _compare(options: argparse.Namespace, scenes: list[Scene]) -> None:
    """Whole runs of the command line of this checkout and of another one, by turns."""
    checkouts = [ROOT, options.against.resolve()]
    compared = {}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        speech = write_speech(folder / "speech.wav", COMPARED_SECONDS)
        for scene in scenes:
            ours, theirs = time_checkouts(
                scene.name, scene.write(folder), speech, folder, options.runs, checkouts
            )
            names = [
                replace(one, name=str(path))
                for one, path in zip((ours, theirs), checkouts, strict=True)
            ]
            print(f"{scene.name}\n{_file_table(names)}")
            print(f"{theirs.wall / ours.wall:.2f} times faster than the other checkout\n")
            compared[scene.name] = {
                "this": ours.record(),
                "other": theirs.record(),
                "times_faster": theirs.wall / ours.wall,
            }
    if options.out:
        record = json.loads(options.out.read_text()) if options.out.exists() else {}
        commits = {"this": _commit(ROOT), "other": _commit(checkouts[1])}
        record["compared"] = {"made_by": describe(), "commits": commits, "files": compared}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def _commit(checkout: Path) -> str:
    command = ["git", "-C", str(checkout), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _measure(options: argparse.Namespace, scenes: list[Scene]) -> None:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        frames = [time_frames(scene.name, scene.write(folder)) for scene in scenes]
        print(_frame_table(frames, scenes))
        imports = import_ms(options.runs)
        print(f"\nimport lipstream {imports['lipstream']:.0f} ms")
        print(f"import lipstream.offline {imports['lipstream.offline']:.0f} ms\n")
        files = []
        for scene in scenes:
            if scene.name in FILE_SCENES:
                speech = write_speech(folder / "speech.wav", SECONDS)
                files.append(
                    time_file(scene.name, scene.write(folder), speech, folder, options.runs)
                )
        if options.hour:
            speech = write_speech(folder / "hour.wav", HOUR)
            files.append(time_file("512x512", SCENES[0].write(folder), speech, folder, 1))
        print(_file_table(files))
    if options.out:
        _write(options.out, frames, imports, files)


def _frame_table(found: list[FrameTimes], scenes: list[Scene]) -> str:
    """Wall and CPU time of a frame, then where it goes."""
    lines = [
        f"{'ms per frame':<22}{'best':>8}{'median':>8}{'p95':>8}{'CPU':>8}{'target':>8}"
        f"{'encode':>8}{'open':>8}{'prepare':>9}"
    ]
    for times, scene in zip(found, scenes, strict=True):
        target = f"{scene.target_ms:g}" if scene.target_ms else ""
        lines.append(
            f"{times.name:<22}{times.best:8.2f}{times.median:8.2f}{times.p95:8.2f}{times.cpu:8.2f}{target:>8}"
            f"{times.encoding:8.2f}{times.open:8.0f}{times.prepare:9.0f}"
        )
    stages = list(dict.fromkeys(stage for times in found for stage in times.stages))
    lines += ["", f"{'CPU by stage':<22}" + "".join(f"{stage:>12}" for stage in stages)]
    for times in found:
        cells = (f"{times.stages.get(stage, 0):12.2f}" for stage in stages)
        lines.append(f"{times.name:<22}" + "".join(cells))
    return "\n".join(lines)


def _file_table(found: list[FileTimes]) -> str:
    lines = [
        f"{'lipstream render':<22}{'speech s':>9}{'wall s':>8}{'CPU s':>8}{'x real':>8}"
        f"{'target':>8}{'peak MB':>9}{'target':>8}"
    ]
    for times in found:
        lines.append(
            f"{times.name:<22}{times.seconds:9.0f}{times.wall:8.2f}{times.cpu:8.2f}"
            f"{times.speed:8.1f}{TIMES_REAL_TIME:8.0f}{times.peak_mb:9.0f}{PEAK_MB:8.0f}"
        )
    return "\n".join(lines)


def _write(
    path: Path, frames: list[FrameTimes], imports: dict[str, float], files: list[FileTimes]
) -> None:
    record = {
        "made_by": describe(),
        "targets": {"times_real_time": TIMES_REAL_TIME, "peak_mb": PEAK_MB}
        | {scene.name: scene.target_ms for scene in SCENES if scene.target_ms},
        "frames": [times.record() for times in frames],
        "import_ms": imports,
        "files": [times.record() for times in files],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [scene.name for scene in SCENES]
    parser.add_argument("--sizes", nargs="+", choices=names, help="default all")
    parser.add_argument("--runs", type=int, default=3, help="whole runs, of which the median")
    parser.add_argument("--hour", action="store_true", help="also an hour of speech; slow")
    parser.add_argument("--against", type=Path, help="another checkout, to compare runs with")
    parser.add_argument(
        "--out",
        type=Path,
        help="write all figures here as JSON; those of --against are added to what is there",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
