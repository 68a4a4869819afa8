"""Hints name a command that works from where lipstream was installed."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import lipstream
from lipstream.installation import install_command, reinstall_command

SOURCE = Path(lipstream.__file__).parent
EXTRA = re.compile(r"lipstream\[")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """`url` and the rest of what pip has written down; None for an installation from an index."""
    record = SimpleNamespace(direct_url=None)
    text = SimpleNamespace(
        read_text=lambda _: None if record.direct_url is None else json.dumps(record.direct_url)
    )
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: text)
    own = str(Path(sys.executable).with_name("pip"))
    monkeypatch.setattr("lipstream.installation.shutil.which", lambda _: own)
    return record


def test_a_checkout_is_installed_from_its_folder(recorded: SimpleNamespace, tmp_path: Path) -> None:
    folder = tmp_path / "my lipstream"
    folder.mkdir()
    recorded.direct_url = {"url": folder.as_uri(), "dir_info": {}}
    assert install_command("server") == f"pip install '{folder}[server]'"
    recorded.direct_url = {"url": folder.as_uri(), "dir_info": {"editable": True}}
    command = shlex.split(install_command("server", "tts"))
    assert command == ["pip", "install", "-e", f"{folder}[server,tts]"]
    assert shlex.split(reinstall_command())[-2:] == ["-e", str(folder)]


def test_a_folder_that_is_gone_is_not_named(recorded: SimpleNamespace, tmp_path: Path) -> None:
    recorded.direct_url = {"url": (tmp_path / "gone").as_uri(), "dir_info": {}}
    assert install_command("tts") == "pip install 'lipstream[tts]'"


def test_an_index_knows_the_name(recorded: SimpleNamespace) -> None:
    assert install_command("musetalk") == "pip install 'lipstream[musetalk]'"
    assert install_command() == "pip install lipstream"


def test_a_repository_is_named_again(recorded: SimpleNamespace) -> None:
    url = "https://example.org/lipstream.git"
    recorded.direct_url = {"url": url, "vcs_info": {"vcs": "git", "commit_id": "1234"}}
    assert install_command("tts") == f"pip install 'lipstream[tts] @ git+{url}'"


def test_another_pip_on_the_path_is_not_used(
    recorded: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lipstream.installation.shutil.which", lambda _: "/usr/bin/pip")
    assert install_command("tts") == (
        f"{shlex.quote(sys.executable)} -m pip install 'lipstream[tts]'"
    )


def test_every_hint_uses_this_command() -> None:
    written = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "pip install" in line and EXTRA.search(line) and path.name != "installation.py"
    ]
    assert not written
