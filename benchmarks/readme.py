"""Write the table of figures in the README from the results that are committed.

python benchmarks/readme.py           # rewrites the table between the two marks
python benchmarks/readme.py --check   # exits 1 when the README says something else
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
OURS = "lipstream (b)"  # of `benchmarks.gpu`; its planes are no like for like
BEGIN, END = "<!-- measured: benchmarks/readme.py -->", "<!-- end of measured -->"


def main() -> int:
    """Rewrite or check; returns the exit code."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    expected = f"{head}{BEGIN}\n{table()}{END}{rest.split(END)[1]}"
    if "--check" in sys.argv[1:]:
        return int(expected != text)
    readme.write_text(expected, encoding="utf-8")
    return 0


def table() -> str:
    """The figures with their targets, and where they were measured."""
    quality, speed = _read("quality.json"), _read("render.json")
    gates = {gate["name"].split(" (")[0]: gate for gate in quality["gates"]}
    rows = [
        ("lips against phonemes, human speech", _gate(gates, "correlation, human clips")),
        ("the same, synthesised speech", _gate(gates, "correlation, synthesised clips")),
        ("worst offset of any clip", _gate(gates, "worst offset, ms", " ms")),
        ("lip closures seen", _gate(gates, "closures seen")),
        ("vowels wrongly shut", _gate(gates, "vowels shut")),
        ("range of the lips, in eye distances", _gate(gates, "range of the lips, eye distances")),
    ]
    if (RESULTS / "faces.json").exists():
        rows += _faces(_read("faces.json")["now"])
    for frame in speed["frames"]:
        limit = speed["targets"].get(frame["name"])
        if limit is not None:
            value = f"{frame['median']:.1f} ms | <= {limit:g} ms"
            rows.append((f"drawing a frame, {frame['name']}", value))
    for file in speed["files"]:
        memory = f"{file['peak_mb']:.0f} MB"
        name = f"`render` of {file['seconds']:.0f} s at {file['name']}"
        aim = f">= {speed['targets']['times_real_time']:g}" if file["name"] == "512x512" else ""
        rows.append((name, f"{file['times_real_time']:.1f} x real time, {memory} | {aim}"))
    rows += _live(_read("sessions.json"))
    said = _read("said.json")["started"]["median_ms"]
    rows.append(("typed text to its first sound, median", f"{said} ms | <= 400 ms"))
    if (RESULTS / "soak.json").exists():
        rows += _steady(_read("soak.json"))
    rows += _networks(_read("networks.json"), _read("schedule.json"))
    controls = ", ".join(quality["controls"])
    lines = ["| | measured | target |", "|---|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    return "\n".join(lines) + (
        f"\n\n{_machines()}\n"
        f"The same run moves the mouth wrongly on purpose ({controls}):\n"
        "each of these fails at least one gate.\n" + _on_a_gpu()
    )


def _machines() -> str:
    """The scripts behind the table, by the processor they ran on."""
    by_processor: dict[str, list[str]] = {}
    for name in ("quality", "faces", "render", "sessions", "said", "soak", "networks"):
        if not (RESULTS / f"{name}.json").exists():
            continue
        result = _read(f"{name}.json")
        machine = result.get("made_by") or result["machine"]
        where = f"{machine['processor']}, {machine['cores']} shared cores"
        by_processor.setdefault(where, []).append(f"`{name}`")
    runs = [f"{', '.join(names)} on {where}" for where, names in by_processor.items()]
    return f"Of `benchmarks/cpu`: {'; '.join(runs)}.\nThe scheduler is `benchmarks/gpu`'s."


def _faces(measured: dict[str, Any]) -> list[tuple[str, str]]:
    """Of portraits and clips of many kinds: the worst, and what fails."""
    faces = measured["faces"]
    lips = min(face["lips"] for face in faces)
    clips = [face for face in faces if face["moving"]]
    spoiled = sum(face["doubled"] + face["lost"] for face in clips)
    failed = sum(bool(face["failures"]) for face in faces)
    frames = sum(face["frames"] for face in clips)
    return [
        (f"lips, worst of {len(faces)} portraits and clips", f"{lips:.2f} | >= 0.62"),
        ("frames of clips with doubled or lost lips", f"{spoiled} of {frames} | 0"),
        ("portraits and clips that miss any threshold", f"{failed} of {len(faces)} | 0"),
    ]


def _live(sessions: dict[str, Any]) -> list[tuple[str, str]]:
    """Of sessions: how many, and how soon."""
    held = [load for load in sessions["loads"] if load["late"] < 0.01]
    most = max(held, key=lambda load: load["sessions"])
    return [
        ("live sessions at 512x512, less than 1 % late", f"{most['sessions']} | >= 8"),
        ("speech in to first picture out, median", f"{most['words_p50']:.0f} ms | <= 210 ms"),
    ]


def _steady(soak: dict[str, Any]) -> list[tuple[str, str]]:
    """Of one session in a browser: how well sound stays with the picture."""
    offsets = [offset for one in soak["rounds"] for offset in one["offsets"]]
    late = sorted(map(abs, offsets))[int(0.95 * len(offsets))]
    minutes = soak["rounds"][-1]["minute"] + 0.5
    middle = statistics.median(offsets)
    return [
        ("picture minus sound in Chromium, median", f"{middle:.0f} ms | +-45 ms"),
        (f"the same over {minutes:.0f} minutes, p95 of its size", f"{late:.0f} ms | <= 120 ms"),
    ]


def _networks(race: dict[str, Any], schedule: dict[str, Any]) -> list[tuple[str, str]]:
    """Of MuseTalk without a GPU: its networks, and the scheduler on virtual devices."""
    ours = race["results"][-1]  # all exact savings together
    shares = [
        one["share"]
        for one in schedule["parts"]["schedule"]
        if one["load"] == "sessions" and one["pipelined"]
    ]
    held = ", ".join(f"{share:.0%}" for share in shares)
    return [
        ("MuseTalk's networks on the processor", f"{ours['ratio']:.1f} x diffusers | >= 3 x"),
        (f"scheduler, of what {len(shares)} virtual GPUs could hold", f"{held} | >= 90%"),
    ]


def _on_a_gpu() -> str:
    """A table of what `scripts/gpu_check` found; a sentence where it has not been run."""
    if not (RESULTS / "gpu_networks.json").exists():
        return "MuseTalk has not been timed on a GPU yet: `scripts/gpu_check` does that.\n"
    networks, sessions = _read("gpu_networks.json"), _read("gpu_sessions.json")
    loops = networks["parts"]["throughput"]["loops"]
    ours = max((one for one in loops if one["contender"] == OURS), key=lambda one: one["fps"])
    tried = sessions["parts"]["sessions"]["tried"]
    held = [one for one in tried if one["held"] and one["chunk_ms"] == 100]
    most = max(held, key=lambda one: one["sessions"])
    rows = [
        ("speech to finished frames", f"{ours['fps']:.0f} frames/s | >= 500"),
        ("the same, over the fastest baseline", f"{ours['ratio']:.1f} x | >= 3 x"),
        ("live sessions, less than 1 % late", f"{most['sessions']} | >= 20"),
        ("chunk of speech to the frames it allows, p99", f"{most['made_p99']:.0f} ms | <= 200 ms"),
    ]
    lines = ["| MuseTalk, 256 px | measured | target |", "|---|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    return (
        "\n"
        + "\n".join(lines)
        + f"\n\n`scripts/gpu_check` on {networks['gpu']['before']['name']}.\n"
    )


def _gate(gates: dict[str, Any], name: str, unit: str = "") -> str:
    gate = gates[name]
    sign = ">=" if gate["least"] else "<="
    digits = 0 if unit else 2
    return f"{gate['value']:.{digits}f}{unit} | {sign} {gate['limit']:g}{unit}"


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    sys.exit(main())
