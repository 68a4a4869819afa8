"""Single functions of the page's modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lipstream.server.schemas.browser_stats import BrowserStats
from tests.browser.chromium import Chromium

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.alone

OFFER = "\r\n".join(
    [
        "v=0",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:secret-secret-secret-secret",
        "a=mid:0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "a=mid:1",
        "",
    ]
)
HOST = "candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host"


def call(chromium: Chromium, page: Page, module: str, expression: str, *given: Any) -> Any:
    """The value of a JavaScript expression of `module` and `given`."""
    script = f"(given) => import('/{module}').then((module) => {expression})"
    return chromium.run(page.evaluate(script, list(given)))


def test_candidates_are_written_under_their_line(chromium: Chromium, page: Page) -> None:
    candidates = [{"sdpMid": "1", "candidate": HOST}]
    text = call(chromium, page, "element/whep.js", "module.fragment(...given)", OFFER, candidates)
    assert text == (
        "a=ice-ufrag:abcd\r\na=ice-pwd:secret-secret-secret-secret\r\n"
        f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na={HOST}\r\n"
    )


def test_the_end_of_candidates_is_said(chromium: Chromium, page: Page) -> None:
    text = call(chromium, page, "element/whep.js", "module.fragment(...given)", OFFER, [None])
    assert text.endswith("a=mid:0\r\na=end-of-candidates\r\n")


@pytest.mark.parametrize(
    ("sound", "samples"),
    [
        ("Float32Array.of(0, 0.5, -1, 1, 2, -2)", [0, 16384, -32767, 32767, 32767, -32767]),
        ("Int16Array.of(0, -1, 32767)", [0, -1, 32767]),
        ("Int16Array.of(7, 8, 9).subarray(1)", [8, 9]),
        ("Int16Array.of(5, -6).buffer", [5, -6]),
    ],
)
def test_samples_become_bytes(
    chromium: Chromium, page: Page, sound: str, samples: list[int]
) -> None:
    bytes_ = call(chromium, page, "element/speech.js", f"[...module.pcmBytes({sound})]")
    pairs = zip(bytes_[::2], bytes_[1::2], strict=True)
    assert [int.from_bytes(pair, "little", signed=True) for pair in pairs] == samples


def test_what_is_no_sound_is_refused(chromium: Chromium, page: Page) -> None:
    expression = "(() => { try { module.pcmBytes('text') } catch (e) { return e.message } })()"
    assert "takes a Blob" in call(chromium, page, "element/speech.js", expression)


# Sends speech to a fake socket, which keeps the lengths of messages and the types of controls.
SPEECH = """(async () => {
  const sent = [];
  const original = window.WebSocket;
  let server;
  window.WebSocket = class {
    static OPEN = 1;
    readyState = 1;
    bufferedAmount = 0;
    constructor() { server = this; setTimeout(() => this.onopen()); }
    send(data) { sent.push(typeof data === 'string' ? JSON.parse(data).type : data.length); }
  };
  const api = { url: (path) => new URL(path, location), token: '' };
  const socket = new module.SpeechSocket(api, 'audio', 24000);
  const event = (type) => server.onmessage({ data: JSON.stringify({ type, utterance: 1 }) });
  let source;
  const stream = new ReadableStream({ start(controller) { source = controller; } });
  const speaking = [socket.speak(stream), socket.speak(new Int16Array(3))];
  source.enqueue(new Uint8Array(10));
  while (!sent.length) await new Promise((resolve) => setTimeout(resolve));
  MEANWHILE
  try { source.enqueue(new Uint8Array(20)); } catch { /* the stream has failed */ }
  await Promise.allSettled(speaking);
  await socket.speak(new Int16Array(2));
  window.WebSocket = original;
  return sent;
})()"""


@pytest.mark.parametrize("meanwhile", ["socket.stop();", "event('queued'); event('interrupted');"])
def test_speech_is_not_sent_on_after_an_interrupt(
    chromium: Chromium, page: Page, meanwhile: str
) -> None:
    """Neither the rest of a stream nor what waits behind it; what comes later is sent."""
    sent = call(chromium, page, "element/speech.js", SPEECH.replace("MEANWHILE", meanwhile))
    assert [one for one in sent if one != "end"] == [10, 4]


def test_a_late_report_of_an_interrupt_stops_no_newer_speech(
    chromium: Chromium, page: Page
) -> None:
    meanwhile = """
      socket.stop();
      socket.speak(new Int16Array(50));
      ['queued', 'interrupted'].forEach(event);
    """
    sent = call(chromium, page, "element/speech.js", SPEECH.replace("MEANWHILE", meanwhile))
    assert [one for one in sent if one != "end"] == [10, 100, 4]


@pytest.mark.parametrize(
    "meanwhile",
    ["['queued', 'failed'].forEach(event);", "source.error(new Error('cut'));"],
    ids=["on the server", "in its stream"],
)
def test_an_utterance_that_fails_is_ended_and_keeps_none_from_being_sent(
    chromium: Chromium, page: Page, meanwhile: str
) -> None:
    sent = call(chromium, page, "element/speech.js", SPEECH.replace("MEANWHILE", meanwhile))
    assert sent == [10, "end", 6, "end", 4, "end"]


def test_an_unreachable_server_is_told_in_a_sentence(chromium: Chromium, page: Page) -> None:
    expression = "new module.Api('/').call('GET', 'data:,nothing').catch((e) => e.message)"
    assert "cannot be reached" in call(chromium, page, "element/api.js", expression)


# A viewer's buffers: pictures wait for the larger of the network's delay and their target, and so
# does sound, which waits for another 26 ms in any case. `given` are the network's delays in turn.
VIEWER = """(() => {
  const pictures = { jitterBufferTarget: null };
  const sound = { jitterBufferTarget: null };
  const sync = new module.LipSync(pictures, sound);
  const floor = 36;
  let late = 0;
  for (const must of given.flatMap((ms) => Array(40).fill(ms))) {
    const waited = Math.max(must, pictures.jitterBufferTarget);
    late = waited - 26 - Math.max(floor, sound.jitterBufferTarget);
    sync.follow(late, waited, floor);
  }
  return [late, pictures.jitterBufferTarget, sound.jitterBufferTarget];
})()"""


@pytest.mark.parametrize(
    "must",
    [
        [20],  # pictures would be early
        [62],
        [90],  # the browser keeps them 28 ms too long
        [90, 20],  # and not any more
        [20, 300, 90],
    ],
)
def test_pictures_and_sound_wait_for_each_other(
    chromium: Chromium, page: Page, must: list[int]
) -> None:
    late, pictures, sound = call(chromium, page, "element/sync.js", VIEWER, *must)
    assert abs(late) <= 6
    assert sound == 0 or pictures == 0


def test_sound_does_not_wait_for_what_the_browser_will_put_right(
    chromium: Chromium, page: Page
) -> None:
    """It would think that all is well, and leave both as late as they are."""
    soon = VIEWER.replace("Array(40)", "Array(8)")
    assert call(chromium, page, "element/sync.js", soon, 20, 90, 300)[2] == 0


def test_sound_waits_for_what_the_browser_leaves_as_it_is(chromium: Chromium, page: Page) -> None:
    late, pictures, sound = call(chromium, page, "element/sync.js", VIEWER, 20, 160)
    assert abs(late) <= 6 and pictures == 0 and sound > 36


@pytest.mark.parametrize(("floor", "sound"), [(None, "{ jitterBufferTarget: null }"), (40, "{}")])
def test_sound_that_cannot_wait_does_not_keep_pictures_from_it(
    chromium: Chromium, page: Page, floor: int | None, sound: str
) -> None:
    script = f"""(() => {{
      const pictures = {{ jitterBufferTarget: null }};
      const sync = new module.LipSync(pictures, {sound});
      for (let reading = 0; reading < 40; reading++) sync.follow(20, 90, given[0]);
      sync.follow(-20, 90, given[0]);
      return pictures.jitterBufferTarget;
    }})()"""
    assert call(chromium, page, "element/sync.js", script, floor) > 90


def test_browsers_that_tell_or_take_nothing_are_left_alone(chromium: Chromium, page: Page) -> None:
    script = """(() => {
      const receivers = [{}, {}];
      const sync = new module.LipSync(...receivers);
      for (const reading of given) sync.follow(...reading);
      return receivers;
    })()"""
    readings = [[None, None, None], [20, None, None], [20, 50, None], [5000, 50, 40]]
    assert call(chromium, page, "element/sync.js", script, *readings) == [{}, {}]


def test_figures_have_the_names_under_which_the_server_counts_them(
    chromium: Chromium, page: Page
) -> None:
    script = """(() => {
      const entry = (kind, n) => [kind, {
        type: 'inbound-rtp', kind, timestamp: 1000 * n, estimatedPlayoutTimestamp: 5000,
        jitterBufferDelay: 2 * n, jitterBufferMinimumDelay: n, jitterBufferEmittedCount: 50 * n,
        framesDecoded: 25 * n, framesDropped: n, freezeCount: 0, packetsLost: n,
        packetsReceived: 50 * n,
      }];
      const trip = { type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.03 };
      const meter = new module.FigureMeter(80);
      const player = (n) => ({
        type: 'media-playout', totalPlayoutDelay: 0.5 * n, totalSamplesCount: 50 * n,
      });
      const report = (n) => new Map([
        entry('video', n), entry('audio', n), ['trip', trip], ['player', player(n)],
      ]);
      meter.read(report(1));
      return meter.read(report(2));
    })()"""
    figures = call(chromium, page, "element/figures.js", script)
    counted = BrowserStats.model_validate(figures)
    assert counted.model_dump(exclude={"concealed_ms"}) == {
        "fps": 25.0,
        "av_offset_ms": 0.0,
        "latency_ms": 135.0,
        "rtt_ms": 30.0,
        "jitter_audio_ms": 40.0,
        "jitter_video_ms": 40.0,
        "dropped": 2,
        "freezes": 0,
        "packets_lost": 4,
    }
    assert figures["jitter_audio_floor_ms"] == 20.0
    assert figures["playout_ms"] == 10.0
