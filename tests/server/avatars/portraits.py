"""A portrait to upload, and the wait for its preparation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.server.app_client import AppClient, until

PORTRAIT = (Path(__file__).parents[2] / "data" / "portrait.png").read_bytes()
FACE = {"file": ("face.png", PORTRAIT, "image/png")}


async def prepared(client: AppClient, answer: Any) -> dict[str, Any]:
    """The avatar when it is ready or has failed."""
    assert answer.status_code == 202, answer.text
    here = f"/v1/avatars/{answer.json()['id']}"
    found = await client.app.state.registry.find(answer.json()["id"])
    await until(lambda: found.status != "preparing")
    shown: dict[str, Any] = (await client.http.get(here)).json()
    return shown
