"""Every code block of the documentation is right: commands, settings, messages, pages."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest

from lipstream.cli.options.settings import read_settings
from lipstream.cli.program import cli
from lipstream.cluster.ray.options import read_options
from lipstream.server.api.socket_messages import CLIENT_MESSAGES, MICROPHONE_EVENTS_BY_TYPE
from tests.docs.blocks import BLOCKS, ROOT, Block, runnable
from tests.server.security.route_table import ROUTES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKED = {"sh", "python", "json", "toml", "http", "html", "js"}
EXTRAS = set(
    tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
)
REQUIREMENT = re.compile(r"(?:\.|/path/to/lipstream)(?:\[([a-z,]+)\])?")
PACKAGE = re.compile(r"/path/to/lipstream/packages/([\w-]+)(?:\[([a-z,]+)\])?")
CALL = re.compile(r"(GET|POST|PATCH|DELETE|WS) +(/\S+)")
IMAGE = re.compile(r"lipstream(?::\w+)?")
VARIABLE = re.compile(r"\bLIPSTREAM_[A-Z_]+\b")
NODE = shutil.which("node")


def ids(blocks: list[Block]) -> list[str]:
    return [block.where for block in blocks]


def test_every_block_is_checked_or_says_why_not() -> None:
    silent = [
        f"{block.where}: {block.language or 'no language'}"
        for block in BLOCKS
        if block.reason is None and block.language not in CHECKED
    ]
    assert not silent
    assert {block.page for block in BLOCKS} >= {"README.md", "docs/live.md", "docs/recipes.md"}


@pytest.mark.parametrize("block", runnable("sh"), ids=ids(runnable("sh")))
def test_commands_exist_with_all_their_options(block: Block) -> None:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line.replace("<this repository>", "REPOSITORY"), comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            check_command(words[:end])
            words = words[end + 1 :]


def check_command(words: list[str]) -> None:
    """Fails for a program that the documentation does not know, or an option that it has not."""
    match words:
        case ["lipstream", *arguments]:
            check_lipstream(arguments)
        case ["pip", "install", package] if found := PACKAGE.fullmatch(package):
            project = ROOT / "packages" / found[1] / "pyproject.toml"
            extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
            assert set((found[2] or "").split(",")) <= {*extras, ""}
        case ["pip", "install", requirement]:
            named = REQUIREMENT.fullmatch(requirement)
            assert named, f"{requirement}: lipstream is on no index"
            assert set((named[1] or "").split(",")) <= EXTRAS | {""}
        case ["python", "-m", module, *_]:
            assert (ROOT / module.replace(".", "/") / "__main__.py").is_file()
        case ["python", "-c", program]:
            compile(program, "python -c", "exec")
        case [script] if script.startswith("scripts/"):
            assert (ROOT / script).is_file()
        case ["serve", "run", "lipstream.cluster.ray:app", *pairs]:
            read_options(dict(pair.split("=", 1) for pair in pairs), {})
        case ["docker", "build", *options]:
            for option in options:
                if option.startswith("EXTRAS="):
                    assert set(option.removeprefix("EXTRAS=").split(",")) <= EXTRAS
        case ["docker", "run", *options]:
            (image,) = (at for at, word in enumerate(options) if IMAGE.fullmatch(word))
            variables = {option.envvar for option in cli.commands["serve"].params}
            assert set(VARIABLE.findall(" ".join(options[:image]))) <= variables
            check_lipstream(options[image + 1 :] or ["serve"])
        case ["ray", "start", *_] | ["git", "clone", *_] | ["cd", _] | []:
            pass
        case _:
            raise AssertionError(f"{words} is checked by nothing")


def check_lipstream(
    arguments: list[str], command: click.Command = cli, parent: click.Context | None = None
) -> None:
    """Parse the options of a command, and those of the commands in it."""
    with command.make_context(
        "lipstream", list(arguments), parent, obj={"debug": False}
    ) as context:
        if isinstance(command, click.Group):
            at = next(n for n, word in enumerate(arguments) if word in command.commands)
            check_lipstream(arguments[at + 1 :], command.commands[arguments[at]], context)


@pytest.mark.parametrize("block", runnable("toml"), ids=ids(runnable("toml")))
def test_settings_are_taken(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "lipstream.toml"
    path.write_text(block.text, encoding="utf-8")
    settings = read_settings(path, cli.commands)
    assert settings
    # A command keeps the names of its help from the first context that it is given.
    program = click.Context(cli, **cli.context_settings)
    for name, table in settings.items():
        command = cli.commands[name]
        with command.make_context(
            name, [], program, default_map=table, resilient_parsing=True
        ) as context:
            for option in command.params:
                option.consume_value(context, {})
                option.type_cast_value(context, table.get(str(option.name)))


@pytest.mark.parametrize("block", runnable("json"), ids=ids(runnable("json")))
def test_messages_are_those_of_a_socket_or_of_the_webhook(block: Block) -> None:
    message = json.loads(block.text)
    if message["type"].startswith("session."):
        assert set(message) == {"type", "timestamp", "data"}
    elif message["type"] in MICROPHONE_EVENTS_BY_TYPE:
        MICROPHONE_EVENTS_BY_TYPE[message["type"]].model_validate(message)
    else:
        CLIENT_MESSAGES.validate_python(message)


@pytest.mark.parametrize("block", runnable("http"), ids=ids(runnable("http")))
def test_calls_have_a_route(block: Block) -> None:
    known = {(method, re.sub(r"\{\w+\}", "{id}", path)) for method, path in ROUTES}
    for line in block.text.splitlines():
        call = CALL.match(line)
        assert call, line
        method = {"WS": "WEBSOCKET"}.get(call[1], call[1])
        assert (method, call[2].partition("?")[0]) in known, line


class Markup(HTMLParser):
    """The scripts of a page, and the attributes of the element."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.scripts.append("")
        elif tag == "lipstream-avatar":
            self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        if self.lasttag == "script" and self.scripts:
            self.scripts[-1] += data


@pytest.mark.parametrize("block", runnable("html", "js"), ids=ids(runnable("html", "js")))
def test_pages_are_markup_and_scripts_that_parse(block: Block, tmp_path: Path) -> None:
    markup = Markup()
    if block.language == "js":
        markup.scripts.append(block.text)
    else:
        markup.feed(block.text)
    element = ROOT / "src/lipstream/server/page/element/lipstream-avatar.js"
    documented = element.read_text(encoding="utf-8").partition("\nimport ")[0]
    assert {name for name in markup.attributes if f"`{name}`" not in documented} == set()
    if NODE is None:
        pytest.skip("there is no node to read scripts with")
    for number, script in enumerate(markup.scripts):
        path = tmp_path / f"{number}.mjs"
        path.write_text(script, encoding="utf-8")
        done = subprocess.run([NODE, "--check", path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
