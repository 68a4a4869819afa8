"""Triton's kernels against torch, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="MuseTalk's networks need torch")
if find_spec("triton") is None:
    pytest.skip("the kernels need Triton, an extra on Linux: dev", allow_module_level=True)

import torch

ROOT = Path(__file__).parents[4]


def run(module: str, *arguments: str) -> None:
    """In a process of its own: whether Triton interprets is settled when it is imported."""
    command = [sys.executable, "-m", f"tests.rendering.musetalk.optimizations.{module}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "which",
    [
        pytest.param("cpu", marks=pytest.mark.slow),
        pytest.param("networks", marks=pytest.mark.full),
    ],
)
def test_the_interpreter_agrees_with_torch(which: str) -> None:
    run("kernel_cases", which)


@pytest.mark.full
def test_the_compiler_takes_every_kernel() -> None:
    run("compile_kernels")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_agrees_with_torch() -> None:
    from tests.rendering.musetalk.optimizations.kernel_cases import check

    assert check("cuda") == []
