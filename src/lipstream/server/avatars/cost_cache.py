"""Measured costs in a folder: processes that share a machine and their options measure once."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
from dataclasses import asdict
from pathlib import Path

from lipstream import __version__
from lipstream.avatar.avatar import Avatar
from lipstream.server.admission import Cost, usable_cores
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.settings import ServeSettings

MAX_KEPT = 1000  # files; beyond it the oldest go

log = logging.getLogger("lipstream.server")


class CostCache:
    """One small file for each avatar: its digest and all else that a cost depends on are its name.

    A file that is damaged, or cannot be written, is as good as none: the cost is measured.
    """

    def __init__(self, folder: Path, *conditions: object) -> None:
        """`conditions` are what costs depend on besides the avatar, the machine and the version."""
        self._folder = folder
        self._conditions = [__version__, platform.node(), *map(str, conditions)]

    def find(self, avatar: Avatar) -> Cost | None:
        """The cost that some process has measured."""
        try:
            cost = Cost(**json.loads(self._path(avatar).read_text("utf-8")))
            good = all(math.isfinite(part) and part >= 0 for part in asdict(cost).values())
        except (OSError, ValueError, TypeError):
            return None
        return cost if good else None

    def keep(self, avatar: Avatar, cost: Cost) -> None:
        """Tell the others. Of two measurements the lower counts."""
        before, path = self.find(avatar), self._path(avatar)
        cost = cost if before is None else cost.cheapest(before)
        beside = path.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(asdict(cost)), "utf-8")
            os.replace(beside, path)
            self._forget_oldest()
        except OSError as error:
            log.warning("a cost could not be kept", extra={"reason": error.strerror})

    def _path(self, avatar: Avatar) -> Path:
        width, height = avatar.size
        key = [*self._conditions, avatar.digest, len(avatar.frames), width, height]
        return self._folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]}.json"

    def _forget_oldest(self) -> None:
        kept = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        for path in kept[:-MAX_KEPT]:
            path.unlink(missing_ok=True)


def cost_cache(settings: ServeSettings, runtime: MediaRuntime) -> CostCache | None:
    """The cache of a server with these settings; None where it keeps none."""
    if settings.costs is None:
        return None
    cores = settings.cores or usable_cores()
    backend = (runtime.backend, runtime.reason, runtime.parallelism)
    return CostCache(settings.costs, *backend, cores, settings.codec)
