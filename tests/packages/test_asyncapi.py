"""The description of the WebSocket is AsyncAPI, by the specification's own schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipstream.server.api.asyncapi import asyncapi_document
from tests.packages.npm import install

pytestmark = pytest.mark.clients

SPECIFICATION = "@asyncapi/specs@6"
SCHEMA = "node_modules/@asyncapi/specs/schemas/3.0.0-without-$id.json"


def test_the_document_is_asyncapi(tmp_path: Path) -> None:
    rust = pytest.importorskip("jsonschema_rs")
    install(tmp_path, SPECIFICATION)
    schema = json.loads((tmp_path / SCHEMA).read_text(encoding="utf-8"))
    faults = list(rust.validator_for(schema).iter_errors(asyncapi_document()))
    assert faults == []
