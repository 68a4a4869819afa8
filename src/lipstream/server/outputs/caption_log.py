"""The captions of a whole session, by their time in its recording."""

from __future__ import annotations

from lipstream.live.session.types import SessionEvent
from lipstream.media.captions import Caption
from lipstream.timeline import SOUND_RATE, UNIT_SAMPLES

MAX_CAPTIONS = 100_000  # of one session, four hours of words; what comes beyond is left out


class CaptionLog:
    """Collects captions of utterances as captions of one long sound at 48 kHz.

    An utterance that ends, or is interrupted, ends its captions. For example, a caption at sample
    12000 of an utterance at 24 kHz whose first 480 ms were played is heard 20 ms into its unit: in
    unit 100 of the recording at sample 100 * 1920 + 960.
    """

    def __init__(self) -> None:
        self.captions: list[Caption] = []
        self._open: dict[int, int] = {}  # of each utterance that is not finished: its first one

    def add(self, event: SessionEvent, unit: int) -> None:
        """Take an event that came with the unit of this number."""
        if event.kind == "caption" and event.caption is not None:
            if len(self.captions) < MAX_CAPTIONS:
                self._open.setdefault(event.utterance, len(self.captions))
                self.captions.append(_in_recording(event, event.caption, unit))
        elif event.kind in ("ended", "interrupted", "failed"):
            first = self._open.pop(event.utterance, len(self.captions))
            until = (unit + 1) * UNIT_SAMPLES
            self.captions[first:] = [_ended(caption, until) for caption in self.captions[first:]]


def _in_recording(event: SessionEvent, caption: Caption, unit: int) -> Caption:
    scale = SOUND_RATE / event.sample_rate
    into = round(caption.start * scale) - event.played_ms * SOUND_RATE // 1000
    start = unit * UNIT_SAMPLES + min(max(into, 0), UNIT_SAMPLES - 1)
    end = caption.end
    if end is not None:
        end = start + max(1, round((end - caption.start) * scale))
    return Caption(caption.text, start, end, caption.opens_line)


def _ended(caption: Caption, until: int) -> Caption:
    end = until if caption.end is None else min(caption.end, until)
    return Caption(caption.text, caption.start, max(end, caption.start + 1), caption.opens_line)
