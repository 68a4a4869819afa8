"""Audio and video files in and out (PyAV)."""

from lipstream.container.clip import read_clip
from lipstream.container.movie import MovieWriter
from lipstream.container.soundtrack import AudioFile, open_audio

__all__ = ["AudioFile", "MovieWriter", "open_audio", "read_clip"]
