"""A talking face for Pipecat bots: in the bot's own process, or over a lipstream server.

Public names load on first use: the transport needs nothing of lipstream itself.

    from pipecat_lipstream import LipstreamEngine, LipstreamVideoService  # the extra `local`
    from pipecat_lipstream import LipstreamTransport
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipecat_lipstream.client import LipstreamServerError
    from pipecat_lipstream.engine import LipstreamAvatar, LipstreamEngine
    from pipecat_lipstream.transport import LipstreamParams, LipstreamTransport
    from pipecat_lipstream.video import LipstreamVideoService, LipstreamVideoSettings

__version__ = "0.1.0"

_MODULES = {
    "LipstreamAvatar": "engine",
    "LipstreamEngine": "engine",
    "LipstreamParams": "transport",
    "LipstreamServerError": "client",
    "LipstreamTransport": "transport",
    "LipstreamVideoService": "video",
    "LipstreamVideoSettings": "video",
}

__all__ = [
    "LipstreamAvatar",
    "LipstreamEngine",
    "LipstreamParams",
    "LipstreamServerError",
    "LipstreamTransport",
    "LipstreamVideoService",
    "LipstreamVideoSettings",
]

if not TYPE_CHECKING:  # a type checker that saw it would accept every name

    def __getattr__(name: str) -> object:
        if name not in _MODULES:
            raise AttributeError(f"module 'pipecat_lipstream' has no attribute {name!r}")
        from importlib import import_module

        try:
            module = import_module(f"pipecat_lipstream.{_MODULES[name]}")
        except ModuleNotFoundError as error:
            if error.name != "lipstream":
                raise
            raise ImportError(
                f"{name} draws in this process: install lipstream (`pip install "
                "/path/to/lipstream`), or let a server draw and use LipstreamTransport."
            ) from error
        return getattr(module, name)
