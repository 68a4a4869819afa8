"""The packages that the server needs, and that `lipstream[server]` brings."""

from __future__ import annotations

from importlib.util import find_spec

from lipstream.errors import MissingError
from lipstream.installation import install_command

# Packages; their modules are called alike, with _ for -.
REQUIRED = (
    "aiortc fastapi fastapi-offline httpx prometheus-client python-multipart uvicorn websockets"
).split()


def check_installed() -> None:
    """MissingError when a package of the server is not installed."""
    for package in REQUIRED:
        if find_spec(package.replace("-", "_")) is None:
            raise MissingError(f"the server needs {package}; run `{install_command('server')}`.")
