"""The npm package: what it holds, and that its types fit an application's code."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

ROOT = Path(__file__).resolve().parents[2]
ELEMENT = Path("src/lipstream/server/page/element")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's folder beside the files that it takes."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed; scripts/install brings it where it may")
    copy = tmp_path_factory.mktemp("repository")
    for name in ("packages/npm", str(ELEMENT)):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "LICENSE", copy)
    return copy / "packages/npm"


def npm(package: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["npm", *arguments], cwd=package, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_the_servers_own_modules(package: Path) -> None:
    name = npm(package, "pack", "--silent").strip()
    with tarfile.open(package / name) as archive:
        files = {member.name.removeprefix("package/") for member in archive if member.isfile()}
        for path in (ROOT / ELEMENT).iterdir():
            packed = archive.extractfile(f"package/element/{path.name}")
            assert packed is not None and packed.read() == path.read_bytes()
    others = {name for name in files if not name.startswith("element/")}
    assert others == {
        "LICENSE",
        "README.md",
        "lipstream.d.ts",
        "lipstream.js",
        "package.json",
        "react.d.ts",
        "react.js",
    }


def test_its_types_fit_an_application(package: Path) -> None:
    npm(package, "install", "--silent", "--no-audit", "--no-fund")
    npm(package, "run", "types")
    wrong = package / "tests/wrong.ts"
    wrong.write_text("document.createElement('lipstream-avatar').say(7);\nimport 'lipstream';\n")
    with pytest.raises(AssertionError, match="not assignable"):
        npm(package, "run", "types")
