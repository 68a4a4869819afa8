"""The API's description as one plain page: no scripts, nothing fetched from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Schema = Mapping[str, Any]

HEAD = (
    '<!doctype html><html lang="en"><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}: API</title>'
    '<link rel="stylesheet" href="/style.css"><body><main>'
)


def reference(document: Schema) -> str:
    """HTML of an OpenAPI document."""
    return "\n".join(_page(document))


def _page(document: Schema) -> Iterator[str]:
    info = document["info"]
    yield HEAD.format(title=escape(info["title"]))
    yield f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>"
    yield f"<p>{_words(info.get('description', ''))}</p>"
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a></p>'
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield from _operation(method.upper(), path, operation)
    yield "<h2>Messages</h2>"
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        yield f'<section id="{escape(name)}"><h3>{escape(name)}</h3>'
        yield f"<p>{escape(schema.get('description', ''))}</p>"
        yield from _fields(schema)
        yield "</section>"
    yield "</main></body></html>"


def _operation(method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"<section><h3><code>{method} {escape(path)}</code></h3>"
    told = (operation.get("summary", ""), operation.get("description", ""))
    yield f"<p>{_words('. '.join(filter(None, told)))}</p>"
    parameters = operation.get("parameters", [])
    for parameter in parameters:
        needed = "" if parameter.get("required") else ", optional"
        yield (
            f"<p><code>{escape(parameter['name'])}</code> ({escape(parameter['in'])}{needed}) "
            f"{escape(parameter.get('description', ''))}</p>"
        )
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Takes <code>{escape(media)}</code> {_named(content.get('schema', {}))}</p>"
        yield from _fields(content.get("schema", {}))
    responses = operation.get("responses", {})
    for status, response in responses.items():
        if status.startswith("2"):
            kinds = ", ".join(
                f"<code>{escape(media)}</code> {_named(content.get('schema', {}))}"
                for media, content in response.get("content", {}).items()
            )
            yield f"<p>{status} {kinds}</p>"
    refused = ", ".join(status for status in responses if not status.startswith("2"))
    yield f'<p>Refused with {refused}: <a href="#ErrorBody">ErrorBody</a></p></section>'


def _fields(schema: Schema) -> Iterator[str]:
    fields = schema.get("properties", {})
    if not fields:
        return
    yield "<ul>"
    required = schema.get("required", [])
    for name, field in fields.items():
        needed = "" if name in required else ", optional"
        example = field.get("examples", [None])[0]
        shown = "" if example is None else f" Such as <code>{escape(json.dumps(example))}</code>."
        yield (
            f"<li><code>{escape(name)}</code> ({_named(field)}{needed}) "
            f"{escape(field.get('description', ''))}{shown}</li>"
        )
    yield "</ul>"


def _words(text: str) -> str:
    """Text in which `code` is marked as in Markdown."""
    return re.sub("`(.*?)`", r"<code>\1</code>", escape(text))


def _named(schema: Schema) -> str:
    """A type in a word, with a link where it has a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_named(option) for option in schema["anyOf"])
    if "items" in schema:
        return f"list of {_named(schema['items'])}"
    return escape(str(schema.get("format") or schema.get("const") or schema.get("type", "")))
