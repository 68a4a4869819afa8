"""One measured session from start to stop, as a viewer has it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tests.browser.figures import Bound, delays, offsets, percentile
from tests.browser.viewer_page import ViewerPage

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.server_process import ServerProcess

SETTLE_S = 4.0  # until then the browser still fits its buffers to the connection
SHOWN_S = 0.5  # in which the browser has shown and played what was sent
BEEPS = 12
BEEP_MS = 200
LONG_BEEP_MS = 1500  # to be interrupted
INTERRUPTS = 6
MAX_DELAY_MS = 1500.0  # within which an effect is looked for


@dataclass
class LiveFigures:
    """Figures in milliseconds unless their names say otherwise."""

    first_frame: float = float("nan")
    look_ahead: float = float("nan")
    fps: float = float("nan")
    freezes: int = -1
    frames_dropped: int = -1
    backward: int = -1  # frames shown after a later one
    av_offset: list[float] = field(default_factory=list)  # picture minus sound
    picture_delay: list[float] = field(default_factory=list)  # from sending speech
    sound_delay: list[float] = field(default_factory=list)
    sound_stop_delay: list[float] = field(default_factory=list)  # from sending the interrupt
    picture_stop_delay: list[float] = field(default_factory=list)
    openings: int = 0  # of the bar while it spoke, however late
    sounds: int = 0
    microphone_moved: bool = False
    reconnected: float = float("nan")
    spoke_after_reconnect: bool = False
    sessions_left: int = -1
    resources_before: dict[str, Any] = field(default_factory=dict)  # of the server's process
    resources_after: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def bounds(self) -> list[Bound]:
        """The bounds that depend on how busy the machine is."""
        spoken = (self.picture_delay, self.sound_delay)
        stopped = (self.sound_stop_delay, self.picture_stop_delay)
        beyond = [delay - self.look_ahead for delay in self.picture_delay]
        return [
            Bound("frames per second", self.fps, low=23.5),
            Bound("freezes", self.freezes, high=0, low=0),
            Bound("A/V offset, median", percentile(self.av_offset, 50), -45, 45),
            Bound("A/V offset, p95", percentile([abs(x) for x in self.av_offset], 95), high=120),
            Bound(
                "picture after sending, beyond look-ahead, p95", percentile(beyond, 95), high=250
            ),
            Bound(
                "sound ends after an interrupt, p95",
                percentile(self.sound_stop_delay, 95),
                high=200,
            ),
            Bound(
                "mouth closes after an interrupt, p95",
                percentile(self.picture_stop_delay, 95),
                high=200,
            ),
            Bound("first frame", self.first_frame, high=1000),
            Bound("beeps shown and played", min(map(len, spoken)), BEEPS, BEEPS),
            Bound("interrupts shown and played", min(map(len, stopped)), INTERRUPTS, INTERRUPTS),
        ]

    def to_json(self) -> dict[str, Any]:
        """All figures, for a file."""
        verdicts = {str(bound): bound.passed for bound in self.bounds()}
        return {"bounds": verdicts, **asdict(self)}


async def measure_live(browser: Browser, server: ServerProcess) -> LiveFigures:
    """Connect, speak, interrupt, use the microphone, reconnect, and leave."""
    figures = LiveFigures()
    viewer = await ViewerPage.blank(browser)
    await viewer.open(server.address, server.token)
    try:
        await viewer.start()  # the first session of a process starts its threads
        await viewer.page.click("#toggle")
        await viewer.state("idle")
        figures.resources_before = await server.settled()
        await viewer.start()
        figures.first_frame = await viewer.first_frame()
        figures.look_ahead = await viewer.look_ahead()
        await viewer.watch()
        await asyncio.sleep(SETTLE_S)
        await _speak(viewer, figures)
        await _interrupt(viewer, figures)
        await _use_microphone(viewer, figures)
        await _reconnect(viewer, server, figures)
        await viewer.page.click("#toggle")
        await viewer.state("idle")
        figures.resources_after = await server.settled(figures.resources_before)
        figures.sessions_left = await server.sessions()
        figures.errors = viewer.errors
    finally:
        await viewer.close()
    return figures


async def _speak(viewer: ViewerPage, figures: LiveFigures) -> None:
    chance = random.Random(1)
    before, began = await viewer.stats(), await viewer.record()
    sent = []
    for _ in range(BEEPS):
        sent.append(await viewer.beep(BEEP_MS))
        await asyncio.sleep(0.8 + 0.2 * chance.random())  # at no fixed place within a frame
    after, record = await viewer.stats(), await viewer.record()
    seconds = (record.now - began.now) / 1000
    video, was = after["video"], before["video"]
    figures.fps = (video["framesDecoded"] - was["framesDecoded"]) / seconds
    figures.freezes = video["freezeCount"] - was["freezeCount"]
    figures.frames_dropped = video["framesDropped"] - was["framesDropped"]
    pairs = zip(record.counters, record.counters[1:], strict=False)
    figures.backward = sum(later < earlier for earlier, later in pairs)
    figures.openings, figures.sounds = len(record.opened), len(record.sounds)
    figures.av_offset = offsets(record.opened, record.sounds)
    figures.picture_delay = delays(sent, record.opened, MAX_DELAY_MS)
    figures.sound_delay = delays(sent, record.sounds, MAX_DELAY_MS)


async def _interrupt(viewer: ViewerPage, figures: LiveFigures) -> None:
    chance = random.Random(2)
    sent = []
    for _ in range(INTERRUPTS):
        await viewer.beep(LONG_BEEP_MS)
        await asyncio.sleep(0.6 + 0.1 * chance.random())
        sent.append(await viewer.interrupt())
        await asyncio.sleep(SHOWN_S)
    record = await viewer.record()
    figures.sound_stop_delay = delays(sent, record.silences, MAX_DELAY_MS)
    figures.picture_stop_delay = delays(sent, record.closed, MAX_DELAY_MS)


async def _use_microphone(viewer: ViewerPage, figures: LiveFigures) -> None:
    """Speak with Chromium's fake device, which beeps once a second."""
    before = len((await viewer.record()).opened)
    await viewer.page.click("#microphone")
    figures.microphone_moved = await viewer.until(lambda now: len(now.opened) > before, 8)
    await viewer.page.click("#microphone")


async def _reconnect(viewer: ViewerPage, server: ServerProcess, figures: LiveFigures) -> None:
    """Break the connection without signalling; the page has to notice and to come back."""
    broken = (await viewer.record()).now
    await viewer.page.evaluate("() => probe.cut()")
    await viewer.state("reconnecting")
    await viewer.state("live")
    figures.reconnected = (await viewer.record()).now - broken
    await viewer.watch()
    # The microphone's speech that waited when the connection broke is spoken first; a beep right
    # behind it would find the mouth still open.
    await server.wait_until_silent(await viewer.session_id())
    await asyncio.sleep(SHOWN_S)
    before = len((await viewer.record()).opened)
    await viewer.beep(BEEP_MS)
    figures.spoke_after_reconnect = await viewer.until(lambda now: len(now.opened) > before, 5)
