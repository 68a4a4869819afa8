"""Captions as a file that players read: WebVTT or SubRip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipstream.errors import OptionError
from lipstream.media.captions import Caption
from lipstream.media.output_path import checked_target, replacing

FORMATS = (".vtt", ".srt")
MAX_LINE = 42  # characters, as subtitlers have it (Netflix' and the BBC's guides: 42 and 37)
MAX_LINES = 2
MIN_CUE_MS = 1000  # a shorter one stays as long as the next one lets it


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines that are shown together, from and until a millisecond of the video."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int  # samples
    end: int
    opens_line: bool


def checked_caption_file(path: Path) -> Path:
    """The place of a file of captions. OptionError when it is neither .vtt nor .srt."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise OptionError(f"{path}: captions are written as .vtt or .srt; name it so.")
    return checked_target(path, suffix)


def write_captions(
    path: Path,
    captions: Sequence[Caption],
    sample_rate: int,
    samples: int,
    *,
    private: bool = False,
) -> int:
    """Write the captions of a sound of so many samples; the format is that of the name.

    Returns how many cues it has: words that are shown together are one. The file appears only when
    it is complete. Nobody else may read a `private` one. Raises as `checked_caption_file` does.
    """
    suffix = checked_caption_file(path).suffix.lower()
    made = as_webvtt if suffix == ".vtt" else as_subrip
    cues = cues_of(captions, sample_rate, samples)
    with replacing(path, suffix, private=private) as file:
        file.write(made(cues).encode())
    return len(cues)


def cues_of(captions: Sequence[Caption], sample_rate: int, samples: int) -> list[Cue]:
    """Words and sentences as cues of at most two lines, none across the end of a sentence.

    A caption of several words is cut between them, each for a time like its length.
    """
    groups = list(_grouped(_words(captions, samples)))
    cues: list[Cue] = []
    for n, (words, lines) in enumerate(groups):
        start = words[0].start * 1000 // sample_rate
        end = max(words[-1].end * 1000 // sample_rate, start + MIN_CUE_MS)
        following = groups[n + 1][0][0].start if n + 1 < len(groups) else samples
        end = min(end, following * 1000 // sample_rate)
        if end > start:
            cues.append(Cue(start, end, lines))
        elif cues:  # nothing of it would be seen
            cues[-1] = Cue(cues[-1].start_ms, cues[-1].end_ms, (*cues[-1].lines, *lines))
    return cues


def as_webvtt(cues: Iterable[Cue]) -> str:
    """https://www.w3.org/TR/webvtt1/"""
    blocks = [
        f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n"
        + "\n".join(_escaped(line) for line in cue.lines)
        for cue in cues
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def as_subrip(cues: Iterable[Cue]) -> str:
    """Numbered blocks; an arrow in the text would look like another one's times."""
    blocks = [
        f"{n}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n"
        + "\n".join(line.replace("-->", "->") for line in cue.lines)
        for n, cue in enumerate(cues, 1)
    ]
    return "\n\n".join(blocks) + "\n"


def _words(captions: Sequence[Caption], samples: int) -> Iterator[_Word]:
    for n, caption in enumerate(captions):
        following = captions[n + 1].start if n + 1 < len(captions) else samples
        end = following if caption.end is None else min(caption.end, samples)
        parts = [part for word in caption.text.split() for part in _short(word)]
        letters, total = 0, sum(len(part) for part in parts)
        for part in parts:
            start = caption.start + (end - caption.start) * letters // total
            opens = caption.opens_line and letters == 0
            letters += len(part)
            until = caption.start + (end - caption.start) * letters // total
            yield _Word(part, start, until, opens)


def _short(word: str) -> list[str]:
    """A word that fills more than a line, such as a URL or a sentence in Chinese, in parts."""
    return [word[at : at + MAX_LINE] for at in range(0, len(word), MAX_LINE)]


def _grouped(words: Iterable[_Word]) -> Iterator[tuple[list[_Word], tuple[str, ...]]]:
    """The words of each cue, and its lines."""
    group: list[_Word] = []
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word.text) <= MAX_LINE and not word.opens_line:
            lines[-1] += f" {word.text}"
        elif lines and (word.opens_line or len(lines) == MAX_LINES):
            yield group, tuple(lines)
            group, lines = [], [word.text]
        else:
            lines.append(word.text)
        group.append(word)
    if group:
        yield group, tuple(lines)


def _time(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{ms:03}"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
