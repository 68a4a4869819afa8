"""The engine that draws for all bots of a process, and the avatars that it shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pipecat.transports.base_transport import TransportParams

import lipstream

FPS = 25
SOUND_RATE = 48_000  # Hz; of what a live session gives

Params = TypeVar("Params", bound=TransportParams)


class LipstreamEngine:
    """Draws for all avatars and bots of this process, in a thread or in processes of its own.

    Open one when the process starts and keep it. A `with` block closes it.
    """

    def __init__(
        self,
        backend: str = "auto",
        *,
        processes: int = 0,
        motion: lipstream.MotionConfig | None = None,
        musetalk: lipstream.MuseTalkConfig | None = None,
    ) -> None:
        """Open a backend: `auto`, `puppet` or `musetalk`. It takes up to some seconds.

        Args:
            backend: As `lipstream.open_engine` takes it.
            processes: Draw in so many processes beside this one; 0 draws in a thread.
            motion: The idle motion of pictures.
            musetalk: Where its weights are.
        """
        runtime = lipstream.RuntimeOptions(live=True)
        self._engine = lipstream.open_engine(
            backend, motion=motion, musetalk=musetalk, runtime=runtime, processes=processes
        )
        self._scheduler = lipstream.Scheduler(self._engine)
        self._scheduler.start()

    def open_avatar(self, path: str | Path) -> LipstreamAvatar:
        """Prepare a picture, a clip or an .avatar file. It takes seconds: do it before bots start,
        or in a thread. Raises `lipstream.LipstreamError` for a file that cannot be used."""
        prepared = self._engine.prepare(lipstream.open_avatar(path))
        return LipstreamAvatar(prepared, self._scheduler)

    def close(self) -> None:
        """Stop drawing, when no bot uses it any more. May be called twice."""
        self._scheduler.close()
        self._engine.close()

    def __enter__(self) -> LipstreamEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LipstreamAvatar:
    """A prepared avatar: any number of bots may show it at once."""

    def __init__(self, prepared: lipstream.Avatar, scheduler: lipstream.Scheduler) -> None:
        self._prepared, self._scheduler = prepared, scheduler
        self.width, self.height = prepared.size  # pixels

    def open_session(self, motion: str | None = None) -> lipstream.Session:
        """A live session that shows it; `motion`: `still`, `calm`, `lively` or None."""
        return lipstream.Session(self._prepared, self._scheduler, motion=motion)  # type: ignore[arg-type]

    def transport_params(self, params: type[Params] = TransportParams, **others: Any) -> Params:
        """Parameters of a transport that shows it: live pictures of its size, 25 a second.

        Args:
            params: The transport's own class of parameters.
            **others: More of its parameters, which come before these.
        """
        ours: dict[str, Any] = {
            "audio_out_enabled": True,
            "audio_out_sample_rate": SOUND_RATE,
            "video_out_enabled": True,
            "video_out_is_live": True,
            "video_out_width": self.width,
            "video_out_height": self.height,
            "video_out_framerate": FPS,
        }
        return params(**ours | others)
