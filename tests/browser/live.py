"""One run of everything that is timed: a session from start to stop, as a viewer has it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tests.browser.figures import Check, delays, offsets, percentile
from tests.browser.viewer import Viewer

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.service import Service

SETTLE = 4.0  # seconds: until then the browser still fits its buffers to the connection
BEEPS = 12
BEEP = 200  # ms
LONG_BEEP = 1500  # ms, to be interrupted
INTERRUPTS = 6
WITHIN = 1500.0  # ms in which an effect is looked for


@dataclass
class Run:
    """Figures in milliseconds unless their names say otherwise."""

    first_frame: float = float("nan")
    look_ahead: float = float("nan")
    fps: float = float("nan")
    freezes: int = -1
    frames_dropped: int = -1
    backward: int = -1  # frames shown after a later one
    av_offset: list[float] = field(default_factory=list)  # picture minus sound
    seen_after: list[float] = field(default_factory=list)  # from sending speech
    heard_after: list[float] = field(default_factory=list)
    silent_after: list[float] = field(default_factory=list)  # from sending the interrupt
    closed_after: list[float] = field(default_factory=list)
    openings: int = 0  # of the bar while it spoke, however late
    sounds: int = 0
    microphone_moved: bool = False
    reconnected: float = float("nan")
    spoke_again: bool = False
    sessions_left: int = -1
    before: dict[str, Any] = field(default_factory=dict)  # what the server's process held
    after: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def checks(self) -> list[Check]:
        """The bounds that depend on how busy the machine is."""
        said = (self.seen_after, self.heard_after)
        stopped = (self.silent_after, self.closed_after)
        beyond = [delay - self.look_ahead for delay in self.seen_after]
        return [
            Check("frames per second", self.fps, least=23.5),
            Check("freezes", self.freezes, most=0, least=0),
            Check("A/V offset, median", percentile(self.av_offset, 50), -45, 45),
            Check("A/V offset, p95", percentile([abs(x) for x in self.av_offset], 95), most=120),
            Check("seen after sending, beyond look-ahead, p95", percentile(beyond, 95), most=250),
            Check("silent after an interrupt, p95", percentile(self.silent_after, 95), most=200),
            Check("closed after an interrupt, p95", percentile(self.closed_after, 95), most=200),
            Check("first frame", self.first_frame, most=1000),
            Check("beeps seen and heard", min(map(len, said)), BEEPS, BEEPS),
            Check("interrupts seen and heard", min(map(len, stopped)), INTERRUPTS, INTERRUPTS),
        ]

    def artefact(self) -> dict[str, Any]:
        """All figures, for a file."""
        verdicts = {str(check): check.passed for check in self.checks()}
        return {"checks": verdicts, **asdict(self)}


async def run_live(browser: Browser, service: Service) -> Run:
    """Connect, speak, interrupt, use the microphone, reconnect, and leave."""
    run = Run()
    viewer = await Viewer.open(browser, service.address, service.token)
    try:
        await viewer.start()  # the first session of a process starts its threads
        await viewer.page.click("#toggle")
        await viewer.state("idle")
        run.before = await service.settled()
        await viewer.start()
        run.first_frame = await viewer.first_frame()
        run.look_ahead = await viewer.look_ahead()
        await viewer.watch()
        await asyncio.sleep(SETTLE)
        await _speak(viewer, run)
        await _interrupt(viewer, run)
        await _use_microphone(viewer, run)
        await _reconnect(viewer, run)
        await viewer.page.click("#toggle")
        await viewer.state("idle")
        run.after = await service.settled(run.before)
        run.sessions_left = await service.sessions()
        run.errors = viewer.errors
    finally:
        await viewer.close()
    return run


async def _speak(viewer: Viewer, run: Run) -> None:
    chance = random.Random(1)
    before, began = await viewer.stats(), await viewer.record()
    sent = []
    for _ in range(BEEPS):
        sent.append(await viewer.beep(BEEP))
        await asyncio.sleep(0.8 + 0.2 * chance.random())  # at no fixed place within a frame
    after, record = await viewer.stats(), await viewer.record()
    seconds = (record.now - began.now) / 1000
    video, was = after["video"], before["video"]
    run.fps = (video["framesDecoded"] - was["framesDecoded"]) / seconds
    run.freezes = video["freezeCount"] - was["freezeCount"]
    run.frames_dropped = video["framesDropped"] - was["framesDropped"]
    pairs = zip(record.counters, record.counters[1:], strict=False)
    run.backward = sum(later < earlier for earlier, later in pairs)
    run.openings, run.sounds = len(record.opened), len(record.sounds)
    run.av_offset = offsets(record.opened, record.sounds)
    run.seen_after = delays(sent, record.opened, WITHIN)
    run.heard_after = delays(sent, record.sounds, WITHIN)


async def _interrupt(viewer: Viewer, run: Run) -> None:
    chance = random.Random(2)
    sent = []
    for _ in range(INTERRUPTS):
        await viewer.beep(LONG_BEEP)
        await asyncio.sleep(0.6 + 0.1 * chance.random())
        sent.append(await viewer.interrupt())
        await asyncio.sleep(0.5)
    record = await viewer.record()
    run.silent_after = delays(sent, record.silences, WITHIN)
    run.closed_after = delays(sent, record.closed, WITHIN)


async def _use_microphone(viewer: Viewer, run: Run) -> None:
    """Chromium's fake device beeps once a second."""
    before = len((await viewer.record()).opened)
    await viewer.page.click("#microphone")
    run.microphone_moved = await viewer.until(lambda now: len(now.opened) > before, 8)
    await viewer.page.click("#microphone")


async def _reconnect(viewer: Viewer, run: Run) -> None:
    """The connection breaks without a word; the page has to notice and to come back."""
    broken = (await viewer.record()).now
    await viewer.page.evaluate("() => probe.cut()")
    await viewer.state("reconnecting")
    await viewer.state("live")
    run.reconnected = (await viewer.record()).now - broken
    await viewer.watch()
    await asyncio.sleep(0.5)
    before = len((await viewer.record()).opened)
    await viewer.beep(BEEP)
    run.spoke_again = await viewer.until(lambda now: len(now.opened) > before, 5)
