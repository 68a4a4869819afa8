"""The plugin for LiveKit's agents: its package, and what it says to wrong settings."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import tomli
from hatchling.builders.wheel import WheelBuilder

pytest.importorskip("livekit.agents", reason="scripts/install --livekit brings LiveKit")

from importlib.metadata import version

from livekit.agents import Plugin
from livekit.plugins import lipstream
from livekit.plugins.lipstream import AvatarSession, LipstreamException

pytestmark = pytest.mark.agents

PACKAGE = Path(__file__).resolve().parents[3] / "packages/livekit-plugins-lipstream"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LIPSTREAM_URL", "LIPSTREAM_API_KEY", "LIVEKIT_URL", "LIVEKIT_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_the_wheel_holds_the_namespace_and_its_types(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(PACKAGE)).build(directory=str(tmp_path))
    files = set(zipfile.ZipFile(wheel).namelist())
    home = "livekit/plugins/lipstream"
    modules = {f"{home}/{path.name}" for path in (PACKAGE / home).glob("*.py")}
    assert modules | {f"{home}/py.typed"} <= files
    assert not {"livekit/__init__.py", "livekit/plugins/__init__.py"} & files
    assert any(name.endswith("licenses/LICENSE") for name in files)
    assert (PACKAGE / "LICENSE").read_text() == (PACKAGE.parents[1] / "LICENSE").read_text()


def test_it_is_registered_and_says_what_it_was_tested_with() -> None:
    (plugin,) = [one for one in Plugin.registered_plugins if one.package == lipstream.__name__]
    assert plugin.version == lipstream.__version__ and plugin.title == lipstream.__name__
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    tested = f"livekit-agents {version('livekit-agents')} and livekit {version('livekit')}"
    assert tested in readme and "examples/agent.py" in readme
    project = tomli.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "MIT"
    assert f"## {lipstream.__version__}" in (PACKAGE / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"mode": "cloud"}, 'mode must be "local" or "server"'),
        ({"mode": "server"}, "needs server_url, or LIPSTREAM_URL"),
        ({"server_url": "avatars.example.org"}, "must begin with http"),
        ({"server_url": "ftp://me:secret@avatars.example.org"}, "must begin with http"),
        ({"server_url": "https://me:secret@avatars.example.org"}, "no user or password"),
    ],
)
def test_settings_that_cannot_work_are_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(LipstreamException, match=sentence) as told:
        AvatarSession(avatar="anna", **options)
    assert "secret" not in str(told.value)


def test_the_environment_decides_where_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert AvatarSession(avatar="anna.png")._server is None
    monkeypatch.setenv("LIPSTREAM_URL", "http://127.0.0.1:8080/")
    assert AvatarSession(avatar="anna")._server is not None
    assert AvatarSession(avatar="anna.png", mode="local")._server is None
    assert AvatarSession(avatar="anna").avatar_identity == "lipstream-avatar-agent"
    assert AvatarSession(avatar="anna").provider == "lipstream"
