"""Other makers' programs, in the environment that scripts/install_clients makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".venv-clients"
OURS = os.pathsep.join(map(str, (ROOT / "src", ROOT / "packages/pipecat-lipstream/src", ROOT)))


def run_client(
    script: str, *arguments: str, path: str, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run a program of this folder with `path` before all other modules. Skips the test where the
    environment is missing."""
    python = CLIENTS / "bin/python"
    if not python.exists():
        pytest.skip("the clients are not installed; scripts/install_clients brings them")
    return subprocess.run(
        [str(python), str(ROOT / "tests/integrations" / script), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
