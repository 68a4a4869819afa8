"""Metrics for Prometheus. Each application has its own registry; nothing is sent by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lipstream.server.admission import LoopLag
from lipstream.server.http.connection_table import ConnectionTable
from lipstream.server.media_runtime import MediaRuntime
from lipstream.server.rtc.interfaces import TransportObserver
from lipstream.server.schemas.browser_stats import BrowserStats

FAST_MS = (0.5, 1, 2, 4, 6, 8, 12, 16, 24, 40, 80, 160)
SLOW_MS = (20, 40, 60, 80, 100, 150, 200, 250, 300, 500, 1000, 2000, 5000)
LONG_MS = (0, 100, 250, 500, 1000, 2000, 5000, 10_000, 20_000, 40_000, 60_000)
SHARES = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
OFFSETS_MS = (-250, -120, -80, -45, -20, 0, 20, 45, 80, 120, 250)
TOTALS = {
    "units": "Frames given out with their sound.",
    "late": "Units given out 20 ms or more after they were due.",
    "repeated": "Frames shown again because the next was not drawn.",
    "dropped": "Frames never shown because they were not drawn in time.",
    "skipped": "Units left out after a stall.",
    "underruns": "Times that speech ran out in the middle of an utterance.",
    "utterances": "Utterances opened.",
    "interrupts": "Interrupts that cancelled speech.",
}

Totals = Callable[[], Mapping[str, int]]


class Metrics:
    """All metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # process_*: memory, processor time, open files
        self.opened = self._counter("sessions_opened", "Sessions opened.")
        self.closed = self._counter("sessions_closed", "Sessions closed.", ["reason"])
        self.refusals = self._counter("refusals", "Requests refused.", ["code"])
        self.avatars = self._counter("avatars", "Uploaded avatars by outcome.", ["outcome"])
        self.rooms = self._counter("rooms", "Rooms of LiveKit by outcome.", ["outcome"])
        self.webhooks = self._counter("webhooks", "Events for the webhook by outcome.", ["outcome"])
        self.recordings = self._counter("recordings", "Recordings by outcome.", ["outcome"])
        self.recordings_left_out = self._counter(
            "recordings_left_out", "Units that no recording had room for."
        )
        self.pushes = self._counter("pushes", "What became of pushes' connections.", ["outcome"])
        self.push_units = self._counter("push_units", "Units of ended pushes.", ["outcome"])
        self.buffered_ms = self._histogram("buffered_ms", "Speech waiting in a session.", LONG_MS)
        self.encode_ms = self._histogram("encode_ms", "Time to encode a frame.", FAST_MS, ["kind"])
        self.key_frames = self._counter("key_frames", "Key frames sent.")
        self.unsent = self._counter(
            "frames_unsent", "Frames left out because the one before was still being encoded."
        )
        self.loss = self._histogram(
            "packet_loss", "Share of packets that viewers reported lost.", SHARES, ["kind"]
        )
        self.round_trip_ms = self._histogram("round_trip_ms", "Round trips, reported by viewers.")
        self.late_ms = self._histogram(
            "unit_late_ms", "Delay between when units were due and when they were sent.", FAST_MS
        )
        self.first_frame_ms = self._histogram(
            "first_frame_ms", "From the offer to the first frame sent."
        )
        self.interrupt_ms = self._histogram(
            "interrupt_ms", "From an interrupt to silence and a closed mouth."
        )
        self.synthesis_texts = self._counter("synthesis_texts", "Texts given to the synthesizer.")
        self.synthesis_first_audio_ms = self._histogram(
            "synthesis_first_audio_ms", "From a text's turn to its first synthesized sound."
        )
        self.synthesis_failures = self._counter(
            "synthesis_failures", "Texts that could not be spoken.", ["cause"]
        )
        self._by_pages = {  # fields of `BrowserStats`
            "av_offset_ms": self._histogram(
                "browser_av_offset_ms", "Picture after sound, measured by pages.", OFFSETS_MS
            ),
            "latency_ms": self._histogram(
                "browser_latency_ms", "From speech to picture, measured by pages."
            ),
            "rtt_ms": self._histogram("browser_round_trip_ms", "Round trips, measured by pages."),
            "jitter_audio_ms": self._histogram(
                "browser_jitter_buffer_ms", "Jitter buffers of sound, measured by pages."
            ),
        }

    def describe(self, version: str, backend: str) -> None:
        """Tell what runs here."""
        info = Info("lipstream", "The server.", registry=self.registry)
        info.info({"version": version, "backend": backend})

    def webhook(self, outcome: str) -> None:
        """Count an event that was delivered, has failed or was dropped."""
        self.webhooks.labels(outcome).inc()

    def watch(self, totals: Totals) -> None:
        """Read the counts of `TOTALS` from `totals` at each scrape."""
        self.registry.register(_Counts(totals))

    def watch_runtime(self, runtime: MediaRuntime, lag: LoopLag) -> None:
        """Read the state of the runtime and of the event loop at each scrape."""
        up = "1 while sessions can be served, 0 during a fault."
        self.gauge("scheduler_up", up, lambda: runtime.fault is None)
        restarts = "Drawing workers that were replaced."
        self.gauge("worker_restarts", restarts, lambda: runtime.restarts)
        nonfinite = "Generated faces that were not finite, shown bare or generated again."
        self.gauge("nonfinite_faces", nonfinite, lambda: runtime.nonfinite_faces)
        self.registry.register(_DroppedPackets(runtime))
        self.gauge("loop_lag_ms", "Mean lag of the event loop, lately.", lambda: lag.ms)

    def watch_connections(self, table: ConnectionTable) -> None:
        """Read the number of TCP connections at each scrape."""
        self.gauge("connections", "TCP connections that are open.", lambda: len(table))
        made_room = "TCP connections closed for lack of room."
        self.gauge("connections_refused", made_room, lambda: table.refused)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def refused(self, code: str) -> None:
        """Count a request that was refused."""
        self.refusals.labels(code).inc()

    def seen(self, stats: BrowserStats) -> None:
        """Record what a page measured."""
        for name, histogram in self._by_pages.items():
            if (value := getattr(stats, name)) is not None:
                histogram.observe(value)

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Read one more number at each scrape."""
        Gauge(f"lipstream_{name}", what, registry=self.registry).set_function(value)

    def _counter(self, name: str, what: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"lipstream_{name}", what, labels, registry=self.registry)

    def _histogram(
        self, name: str, what: str, buckets: Sequence[float] = SLOW_MS, labels: Sequence[str] = ()
    ) -> Histogram:
        return Histogram(f"lipstream_{name}", what, labels, buckets=buckets, registry=self.registry)


class SessionObserver(TransportObserver):
    """Puts the measurements of one session's transport into the metrics."""

    def __init__(self, metrics: Metrics, on_first_frame: Callable[[], None]) -> None:
        self._metrics = metrics
        self._on_first_frame = on_first_frame

    def encoded(self, kind: str, ms: float, key: bool) -> None:
        self._metrics.encode_ms.labels(kind).observe(ms)
        if key:
            self._metrics.key_frames.inc()

    def first_frame(self, ms: float) -> None:
        self._metrics.first_frame_ms.observe(ms)
        self._on_first_frame()

    def unit_late(self, ms: float) -> None:
        self._metrics.late_ms.observe(ms)

    def video_dropped(self) -> None:
        self._metrics.unsent.inc()

    def reported(self, kind: str, lost: float, round_trip_ms: float | None) -> None:
        self._metrics.loss.labels(kind).observe(lost)
        if round_trip_ms is not None:
            self._metrics.round_trip_ms.observe(round_trip_ms)


class _Counts(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        totals = self._totals()
        for name, what in TOTALS.items():
            yield CounterMetricFamily(f"lipstream_{name}", what, value=totals[name])


class _DroppedPackets(Collector):
    def __init__(self, runtime: MediaRuntime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        what = "Packets from the network that were not read."
        family = CounterMetricFamily("lipstream_dropped_packets", what, labels=["cause"])
        for cause, packets in self._runtime.dropped_packets.items():
            family.add_metric([cause], packets)
        yield family
