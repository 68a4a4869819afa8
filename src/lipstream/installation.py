"""Commands that install what is missing, as they work for the lipstream that runs.

What these need is imported when a sentence needs it: every start of the program imports this.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NAME = "lipstream"
CHECKOUT = Path(__file__).resolve().parents[2]


def install_command(*extras: str) -> str:
    """The command that installs lipstream with `extras` from where it was installed, such as
    `pip install -e '/home/anna/lipstream[server]'`."""
    return pip_install(*_requirement(",".join(extras)))


def reinstall_command() -> str:
    """The command that puts lipstream's own files back, and touches no other package."""
    return pip_install("--force-reinstall", "--no-deps", *_requirement(""))


def pip_install(*arguments: str) -> str:
    """`pip install` and `arguments`, for a shell, by the pip of the Python that runs."""
    found, python = shutil.which("pip"), Path(sys.executable)
    own = found is not None and Path(found).parent == python.parent
    pip = ["pip"] if own else [str(python), "-m", "pip"]
    return shlex.join([*pip, "install", *arguments])


def _requirement(extras: str) -> list[str]:
    bracket = f"[{extras}]" if extras else ""
    url, record = _origin()
    parts = urlsplit(url)
    if parts.scheme == "file" and "vcs_info" not in record:
        from urllib.request import url2pathname

        path = Path(url2pathname(parts.path))
        if path.exists():
            editable = record.get("dir_info", {}).get("editable", False)
            return [*(["-e"] if editable else []), f"{path}{bracket}"]
    elif url:
        system = record.get("vcs_info", {}).get("vcs", "")
        return [f"{NAME}{bracket} @ {system}{'+' if system else ''}{url}"]
    return [f"{NAME}{bracket}"]


def _origin() -> tuple[str, dict[str, Any]]:
    """The address that lipstream was installed from, "" for an index, and all that pip recorded:
    https://packaging.python.org/en/latest/specifications/direct-url/"""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        text = distribution(NAME).read_text("direct_url.json")
    except PackageNotFoundError:  # it runs from a checkout that was not installed
        url = CHECKOUT.as_uri() if (CHECKOUT / "pyproject.toml").exists() else ""
        return url, {"dir_info": {"editable": True}}
    record: dict[str, Any] = json.loads(text) if text else {}
    return str(record.get("url", "")), record
