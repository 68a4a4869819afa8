"""The text of speech, with times."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Caption:
    """A word or a sentence, and when it is spoken.

    `start` and `end` are samples from the beginning of its utterance, at the utterance's rate;
    `end` is None while it is not known: it lasts until the next caption, or the end of the speech.
    `opens_line` is True where a sentence begins, so that what was shown before it goes.
    """

    text: str
    start: int
    end: int | None = None
    opens_line: bool = True
