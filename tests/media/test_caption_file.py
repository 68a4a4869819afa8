"""Cues that can be read in time, and files that players take."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipstream.errors import OptionError, OutputError
from lipstream.media.caption_file import (
    MAX_LINE,
    MAX_LINES,
    Cue,
    as_subrip,
    as_webvtt,
    cues_of,
    write_captions,
)
from lipstream.media.captions import Caption

RATE = 1000  # samples are milliseconds


@given(
    st.lists(
        st.tuples(st.text("ab, .\U0001f600", min_size=1, max_size=60), st.booleans()), max_size=30
    )
)
def test_every_word_is_shown_in_order_and_in_time(words: list[tuple[str, bool]]) -> None:
    captions = [Caption(text, n * 400, opens_line=opens) for n, (text, opens) in enumerate(words)]
    cues = cues_of(captions, RATE, 400 * len(words))
    shown = "".join(line for cue in cues for line in cue.lines)
    assert "".join(shown.split()) == "".join("".join(text.split()) for text, _ in words)
    assert all(len(line) <= MAX_LINE for cue in cues for line in cue.lines)
    assert all(len(cue.lines) <= MAX_LINES for cue in cues)
    times = [time for cue in cues for time in (cue.start_ms, cue.end_ms)]
    assert times == sorted(times)


def test_a_sentence_is_cut_at_words_for_times_like_their_lengths() -> None:
    sentence = Caption("one two three four five six seven eight nine ten " * 2, 1000)
    first, second = cues_of([sentence], RATE, 9000)
    assert first.lines[0] == "one two three four five six seven eight"
    assert first.start_ms == 1000 and first.end_ms == second.start_ms and second.end_ms == 9000


def test_a_sentence_begins_a_cue_and_a_short_one_stays() -> None:
    captions = [
        Caption("Hi.", 100, 300),
        Caption("You", 2000, 2500),
        Caption("there", 2500, 4000, False),
    ]
    assert cues_of(captions, RATE, 5000) == [
        Cue(100, 1100, ("Hi.",)),
        Cue(2000, 4000, ("You there",)),
    ]


def test_text_cannot_break_a_file() -> None:
    cue = Cue(0, 3_600_001, ("a < b & --> c",))
    assert as_webvtt([cue]) == (
        "WEBVTT\n\n00:00:00.000 --> 01:00:00.001\na &lt; b &amp; --&gt; c\n"
    )
    assert as_subrip([cue]) == "1\n00:00:00,000 --> 01:00:00,001\na < b & -> c\n"


@pytest.mark.parametrize("suffix", [".vtt", ".srt"])
def test_players_read_them(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"talk{suffix}"
    said = [Caption("Hi.", 100, 300), Caption("You &", 2000)]
    said.append(Caption("me", 2400, opens_line=False))
    assert write_captions(path, said, RATE, 5000) == 2
    with av.open(str(path)) as file:
        packets = [packet for packet in file.demux() if packet.size]
    assert [(packet.pts, packet.duration) for packet in packets] == [(100, 1000), (2000, 3000)]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_only_names_that_players_know_are_written(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="written as .vtt or .srt"):
        write_captions(tmp_path / "talk.txt", [], RATE, 0)
    with pytest.raises(OutputError, match="does not exist"):
        write_captions(tmp_path / "no" / "talk.vtt", [], RATE, 0)
