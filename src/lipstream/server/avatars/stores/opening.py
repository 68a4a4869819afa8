"""The store that the settings of a server ask for."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

from lipstream.server.avatars.stores.base import AvatarStore
from lipstream.server.avatars.stores.folder import FolderObjects
from lipstream.server.avatars.stores.labelled import LabelledStore
from lipstream.server.settings import ServeSettings


def open_store(settings: ServeSettings) -> AvatarStore:
    """The store of `--store`, the folder of `--data`, or else a temporary folder."""
    if settings.store_folder is not None:
        return LabelledStore(FolderObjects(settings.store_folder))
    own = Path(tempfile.gettempdir(), f"lipstream-{secrets.token_hex(8)}")
    return LabelledStore(FolderObjects(own, temporary=True))
