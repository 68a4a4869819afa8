"""Write the table of figures in the README from the results that are committed.

python benchmarks/readme.py           # rewrites the table between the two marks
python benchmarks/readme.py --check   # exits 1 when the README says something else
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- measured: benchmarks/readme.py -->", "<!-- end of measured -->"


def main() -> int:
    """Rewrite or check; returns the exit code."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    wanted = f"{head}{BEGIN}\n{table()}{END}{rest.split(END)[1]}"
    if "--check" in sys.argv[1:]:
        return int(wanted != text)
    readme.write_text(wanted, encoding="utf-8")
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
    machine = speed["made_by"]
    where = (
        f"{machine['processor']}, {machine['cores']} shared cores,\n"
        f"Python {machine['python']}, OpenCV {machine['packages']['opencv-python-headless']}"
    )
    controls = ", ".join(quality["controls"])
    lines = ["| | measured | target |", "|---|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    return "\n".join(lines) + (
        f"\n\n`benchmarks/quality.py` and `benchmarks/render.py` on {where}.\n"
        f"The same run moves the mouth wrongly on purpose ({controls}):\n"
        "each of these fails at least one gate.\n"
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
