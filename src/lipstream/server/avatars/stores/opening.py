"""The store that the settings of a server ask for."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from lipstream.server.avatars.stores.base import AvatarStore
from lipstream.server.avatars.stores.folder import FolderObjects
from lipstream.server.avatars.stores.labelled import LabelledStore
from lipstream.server.avatars.stores.local_cache import LocalCache
from lipstream.server.avatars.stores.object_store import FsspecObjects
from lipstream.server.settings import ServeSettings


def open_store(settings: ServeSettings) -> AvatarStore:
    """The store of `--store`, the folder of `--data`, or else a temporary folder. MissingError and
    OptionError for an address that cannot be used."""
    own = Path(tempfile.gettempdir(), f"lipstream-{secrets.token_hex(8)}")
    if settings.store_folder is not None:
        return LabelledStore(FolderObjects(settings.store_folder))
    if settings.store is None:
        return LabelledStore(FolderObjects(own, temporary=True))
    temporary = settings.data is None
    cache = LocalCache(settings.data or own, settings.avatar_space, temporary)
    return LabelledStore(FsspecObjects(settings.store), cache)
