"""The front's own metrics; those of workers are read there, as `/v1/cluster` lists them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from lipstream.server.http.connection_table import ConnectionTable

ANSWER_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 15_000)


class FrontMetrics:
    """All metrics of one front."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.answers = Counter(
            "lipstream_front_answers",
            "Requests that workers answered.",
            ["status"],
            registry=self.registry,
        )
        self.answer_ms = Histogram(
            "lipstream_front_answer_ms",
            "From a request to the first byte of its answer.",
            buckets=ANSWER_MS,
            registry=self.registry,
        )
        self.retries = Counter(
            "lipstream_front_retries",
            "Requests that another worker was asked to answer.",
            ["cause"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "lipstream_front_refusals",
            "Requests that the front itself refused.",
            ["code"],
            registry=self.registry,
        )
        self.restarts = Counter(
            "lipstream_front_worker_restarts",
            "Workers that died or hung and were started again.",
            registry=self.registry,
        )

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Read one more number at each scrape."""
        Gauge(f"lipstream_front_{name}", what, registry=self.registry).set_function(value)

    def watch_connections(self, table: ConnectionTable) -> None:
        """Read the TCP connections of `table`."""
        self.gauge("connections", "TCP connections that are open.", lambda: len(table))
        self.gauge(
            "connections_refused",
            "TCP connections that were closed or refused for want of places.",
            lambda: table.refused,
        )

    def refused(self, code: str) -> None:
        """Count a request that the front itself refused."""
        self.refusals.labels(code).inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)
