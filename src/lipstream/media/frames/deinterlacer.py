"""Interlaced pictures, two half pictures of different moments in one, made whole."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.filter import Graph
from av.video.frame import VideoFrame


def deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The frames, of which those marked as interlaced are rebuilt from their first half picture.

    Frames before the first that is marked pass untouched; then all go through FFmpeg's bwdif,
    which leaves the unmarked as they are. None is lost or moved in time.
    """
    graph: Graph | None = None
    shape: tuple[int, int, str] | None = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        found = (frame.width, frame.height, frame.format.name)
        if found != shape:
            yield from _pulled(graph, None)
            graph, shape = _graph(frame), found
        yield from _pulled(graph, frame)
    yield from _pulled(graph, None)


def _graph(frame: VideoFrame) -> Graph:
    graph = Graph()
    source = graph.add_buffer(
        None, frame.width, frame.height, frame.format, time_base=frame.time_base
    )
    filters = source, graph.add("bwdif", "mode=send_frame:deint=interlaced")
    graph.link_nodes(*filters, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Graph | None, frame: VideoFrame | None) -> Iterator[VideoFrame]:
    """The frames that are ready once `frame` was given; all that are left for None."""
    if graph is None:
        return
    graph.vpush(frame)
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
