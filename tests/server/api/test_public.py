"""Routes that need no token: the page, the documentation, health and configuration."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from lipstream import __version__
from lipstream.server.api.public import PAGE, page_files, public_paths
from lipstream.server.settings import ServeSettings
from tests.server.app_client import AppClient, run_client


class Links(HTMLParser):
    """Where a page points to, and what would run in it."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.names: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.targets += [found[name] or "" for name in ("href", "src") if name in found]
        self.names.add(found.get("id") or "")
        scripted = [name for name in found if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in found) or scripted:
            self.inline.append(tag)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_need_nothing_from_elsewhere(path: str) -> None:
    async def test(client: AppClient) -> None:
        links = Links()
        links.feed((await client.http.get(path)).text)
        assert not links.inline, "the policy forbids it"
        for target in links.targets:
            assert not re.match("https?:|//", target), target
            if target.startswith("#"):
                assert target[1:] in links.names, target
            elif not target.startswith("data:"):
                assert (await client.http.get(target)).status_code == 200, target

    run_client(test)


@pytest.mark.parametrize("name", [name for name in page_files() if name.startswith("/examples/")])
def test_examples_run_under_a_policy_for_their_own_scripts_only(name: str) -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.get(name)
        links = Links()
        links.feed(answer.text)
        assert set(links.inline) <= {"script", "style"}, "no attribute can be allowed"
        policy = dict(
            part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; ")
        )
        assert policy["default-src"] == "'self'" and policy["object-src"] == "'none'"
        for kind in ("script", "style"):
            assert policy[f"{kind}-src"].count("'sha256-") == links.inline.count(kind)
            assert "unsafe" not in policy[f"{kind}-src"]

    run_client(test)


def test_the_description_says_where_the_token_goes() -> None:
    async def test(client: AppClient) -> None:
        document = (await client.http.get("/openapi.json")).json()
        assert document["info"]["version"] == __version__
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert ("security" in operation) == (path not in public_paths())

    run_client(test, ServeSettings(token="some-token"))


def test_the_page_is_asked_for_again_only_when_it_changed() -> None:
    async def test(client: AppClient) -> None:
        for path, name in {**page_files(), "/": "index.html", "/docs": "docs.html"}.items():
            first = await client.http.get(path)
            assert first.content == (PAGE / name).read_bytes()
            assert first.headers["Cache-Control"] == "no-cache"
            etag = {"If-None-Match": first.headers["ETag"]}
            assert (await client.http.get(path, headers=etag)).status_code == 304
            assert (await client.http.head(path)).status_code == 200

    run_client(test)


def test_scripts_are_served_as_scripts() -> None:
    async def test(client: AppClient) -> None:
        answer = await client.http.get("/lipstream-avatar.js")
        assert answer.headers["Content-Type"].partition(";")[0] == "text/javascript"

    run_client(test)


def test_metrics_can_be_read_by_prometheus() -> None:
    from prometheus_client.parser import text_string_to_metric_families

    async def test(client: AppClient) -> None:
        await client.open()
        await client.http.get("/nothing")
        families = {
            family.name: family for family in text_string_to_metric_families(await client.metrics())
        }
        assert families["lipstream_sessions"].samples[0].value == 1
        assert all(name.startswith(("lipstream_", "process_")) for name in families)
        (info,) = families["lipstream_info"].samples
        assert info.labels == {"version": __version__, "backend": "fake"}
        (dropped,) = families["lipstream_dropped_packets"].samples
        assert dropped.labels == {"cause": "stranger"} and dropped.value == 3

    run_client(test)


def test_two_applications_have_figures_of_their_own() -> None:
    async def test(client: AppClient) -> None:
        await client.open()
        assert "lipstream_sessions_opened_total 1.0" in await client.metrics()

    for _ in range(2):
        run_client(test)
