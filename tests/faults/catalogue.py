"""All promises by name."""

from __future__ import annotations

from tests.faults import connections, costs, files, outputs, sessions, viewers

PROMISES = {
    promise.name: promise
    for module in (viewers, connections, files, costs, sessions, outputs)
    for promise in module.PROMISES
}
