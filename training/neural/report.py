"""The logs of the three trainings as a table and a picture of their curves.

python -m training.neural.report WORK PICTURE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

LOGS = ("encoder", "vae", "unet")
ROWS = 8  # of the table, for each log
SIZE = (300, 200)  # of one curve, pixels
_LINE, _PAPER, _INK = 1, 255, 40


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log that `Trainer.report` wrote."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(name: str, lines: list[dict[str, Any]]) -> str:
    """Steps, seconds of the processor and losses, then the last figures on what was held out."""
    losses = [line for line in lines if "step" in line]
    chosen = losses[:: max(1, len(losses) // ROWS)]
    if chosen[-1] is not losses[-1]:
        chosen.append(losses[-1])
    held: dict[str, float] = {}
    for line in lines:
        if "step" not in line:
            held.update(line)
    cells = [f"{line['step']} | {line['cpu_s']} | {line['loss']:.4f}" for line in chosen]
    figures = ", ".join(f"{key} {value:g}" for key, value in held.items() if key != "cpu_s")
    head = [f"| {name}: step | CPU s | loss |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {cell} |" for cell in cells), "", f"Held out: {figures}."])


def curve(name: str, lines: list[dict[str, Any]]) -> NDArray[np.uint8]:
    """The logarithm of the loss over the steps."""
    losses = np.log([line["loss"] for line in lines if "step" in line])
    width, height = SIZE
    picture = np.full((height, width), _PAPER, np.uint8)
    unit = (losses - losses.min()) / max(float(np.ptp(losses)), 1e-6)
    across = np.linspace(10, width - 10, len(unit))
    points = np.stack([across, height - 15 - unit * (height - 50)], axis=1).astype(np.int32)
    cv2.polylines(picture, [points], False, (_INK,), _LINE, cv2.LINE_AA)
    said = f"{name}: loss {np.exp(losses[0]):.3g} to {np.exp(losses[-1]):.3g}"
    cv2.putText(picture, said, (10, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (_INK,), 1, cv2.LINE_AA)
    return picture


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    logs = {name: read_log(folder / f"{name}.jsonl") for name in LOGS}
    print("\n\n".join(table(name, lines) for name, lines in logs.items()))
    curves = np.concatenate([curve(name, lines) for name, lines in logs.items()], axis=1)
    cv2.imwrite(str(out), curves)


if __name__ == "__main__":
    main()
