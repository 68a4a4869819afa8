"""A talking face for LiveKit Agents, drawn by lipstream.

`AvatarSession` draws in the agent's own process, or has a lipstream server join the room.
"""

from livekit.agents import Plugin

from .avatar import AvatarSession
from .errors import LipstreamException
from .log import logger
from .version import __version__

__all__ = ["AvatarSession", "LipstreamException", "__version__"]


class LipstreamPlugin(Plugin):
    """The entry of the plugin among those that a worker knows."""

    def __init__(self) -> None:
        super().__init__(__name__, __version__, __package__ or __name__, logger)


Plugin.register_plugin(LipstreamPlugin())
