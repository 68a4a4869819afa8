"""The npm package: what it holds, and that its types fit an application's code."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tests.packages.npm import ELEMENT, ROOT, copy_package, install, npm, pack

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's folder."""
    return copy_package(tmp_path_factory.mktemp("repository"))


def test_it_holds_the_servers_own_modules(package: Path) -> None:
    with tarfile.open(pack(package)) as archive:
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
    install(package)
    npm(package, "run", "types")
    wrong = package / "tests/wrong.ts"
    wrong.write_text("document.createElement('lipstream-avatar').say(7);\nimport 'lipstream';\n")
    with pytest.raises(AssertionError, match="not assignable"):
        npm(package, "run", "types")
