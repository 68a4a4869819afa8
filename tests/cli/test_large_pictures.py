"""The largest picture that is allowed takes less than a gigabyte to prepare."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from tests.cli.program import COMMAND, Program, sentence_in

SIZE = (7_071, 7_071)  # 50 million pixels, all but a few
GIGABYTE = 10**9
# A process begins with the peak of the one that it was forked from: here a small one.
MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def picture(kind: str) -> Pillow.Image:
    if kind == "grey16":
        return Pillow.fromarray(np.full(SIZE, 3_000, np.uint16))
    return Pillow.new(kind, SIZE)


@pytest.mark.slow
@pytest.mark.skipif(
    not importlib.util.find_spec("resource"), reason="the system tells no peak of memory"
)
@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        pytest.param("RGBA", "large.png", {"compress_level": 1}, marks=pytest.mark.full),
        pytest.param("grey16", "large.png", {"compress_level": 1}, marks=pytest.mark.full),
        ("1", "large.png", {"transparency": 0}),
        pytest.param("RGB", "large.jpg", {"progressive": True}, marks=pytest.mark.full),
        ("RGBA", "large.webp", {"lossless": True, "method": 0}),
    ],
)
def test_the_largest_picture_fits(
    tmp_path: Path, kind: str, name: str, options: dict[str, Any]
) -> None:
    path = tmp_path / name
    picture(kind).save(path, **options)
    call = [*COMMAND, "prepare", str(path), "-o", str(tmp_path / "a.avatar")]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *call, "--backend", "puppet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and "no face was found" in sentence_in(done.stderr)
    assert 1024 * int(done.stdout.split()[-1]) < GIGABYTE


def test_a_larger_one_is_refused_unless_it_is_allowed(program: Program) -> None:
    Pillow.new("1", (8_000, 7_000)).save("huge.png")
    said = program.refused("prepare", "huge.png", "-o", "a.avatar")
    assert said == (
        "huge.png has 8000x7000 = 56,000,000 pixels, more than the 50,000,000 allowed; shrink it "
        "first, or raise --max-pixels."
    )
    said = program.refused("prepare", "huge.png", "-o", "a.avatar", "--max-pixels", "56")
    assert said.startswith("no face was found in huge.png")


def test_a_jpeg_of_a_thousand_scans_is_refused(program: Program) -> None:
    Pillow.effect_noise((200, 200), 90).save("scans.jpg", progressive=True)
    data = Path("scans.jpg").read_bytes()
    last, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    Path("scans.jpg").write_bytes(data[:end] + data[last:end] * 1_000 + data[end:])
    said = program.refused("prepare", "scans.jpg", "-o", "a.avatar")
    assert said.startswith("scans.jpg has more than 100 scans")
