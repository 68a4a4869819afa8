"""Two servers of this process over one store of avatars, which can be switched off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lipstream.avatar.avatar import Avatar
from lipstream.avatar.storage import save_avatar
from lipstream.server.avatars.entry import AvatarEntry
from lipstream.server.avatars.stores.base import Label
from lipstream.server.avatars.stores.folder import FolderObjects
from lipstream.server.avatars.stores.labelled import DAY_S, LabelledStore
from lipstream.server.avatars.stores.local_cache import file_sha256
from lipstream.server.settings import ServeSettings
from tests.fakes import blank_avatar
from tests.server.app_client import AppClient, open_client, settle, until
from tests.server.fake_runtime import FakeRuntime

ONE = "0" * 31 + "1"
SETTINGS = ServeSettings(rate=0, cores=8, connect_timeout_s=600)


class Switch(FolderObjects):
    """A folder that can be gone."""

    off = False

    def list(self, folder: str = "") -> Any:
        self._reach()
        return super().list(folder)

    def read(self, key: str) -> bytes:
        self._reach()
        return super().read(key)

    def write(self, key: str, content: bytes, first: bool = False) -> None:
        self._reach()
        super().write(key, content, first)

    def upload(self, key: str, file: Path) -> None:
        self._reach()
        super().upload(key, file)

    def _reach(self) -> None:
        if self.off:
            raise OSError("the network is down")


@dataclass
class Shared:
    """A store, and servers over it; `hand` puts what a further server would."""

    folder: Path
    settings: ServeSettings = SETTINGS
    days: int = 0  # that have passed
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    servers: list[AppClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.switch = Switch(self.folder / "store")
        self.hand = self.store()

    def store(self) -> LabelledStore:
        return LabelledStore(self.switch, now=lambda: time.time() + self.days * DAY_S)

    async def start(self, runtime: FakeRuntime | None = None) -> AppClient:
        """One more server."""
        opened = open_client(self.settings, runtime=runtime, store=self.store())
        self.servers.append(await self.stack.enter_async_context(opened))
        return self.servers[-1]

    async def put(self, label: Label | None = None, avatar: Avatar | None = None) -> Label:
        """An avatar that is ready, or what `label` says."""
        label = label or Label("Anna", created=int(time.time()) + self.days * DAY_S)
        if label.status == "ready":
            path = self.folder / "made.avatar"
            await asyncio.to_thread(save_avatar, avatar or blank_avatar(64, 64), path)
            sha256 = await asyncio.to_thread(file_sha256, path)
            label = replace(label, sha256=sha256, size=path.stat().st_size)
            await self.hand.upload(ONE, path)
        await self.hand.put(ONE, label)
        return label


@asynccontextmanager
async def shared(folder: Path, **settings: Any) -> AsyncIterator[Shared]:
    made = Shared(folder / "shared", replace(SETTINGS, **settings))
    async with made.stack:
        yield made


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 30))


async def entry_of(client: AppClient, avatar_id: str) -> AvatarEntry:
    found: AvatarEntry = await client.app.state.registry.find(avatar_id)
    return found


async def ready(client: AppClient, avatar_id: str = ONE) -> None:
    entry = await entry_of(client, avatar_id)
    await until(lambda: entry.status == "ready")


async def look(client: AppClient) -> None:
    """Let a second pass, in which the server looks at the store."""
    watch = client.app.state.registry._watch
    seen = watch.looks
    while watch.looks == seen or watch._turn.locked():  # it may be busy with what it saw before
        client.clock.advance(100)
        await asyncio.sleep(0.002)
    await settle()


async def looks(client: AppClient, count: int) -> None:
    for _ in range(count):
        await look(client)


async def shown(client: AppClient, avatar_id: str = ONE) -> dict[str, Any]:
    told: dict[str, Any] = (await client.http.get(f"/v1/avatars/{avatar_id}")).json()
    return told
