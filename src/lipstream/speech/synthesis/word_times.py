"""The words of a text, and which of its phonemes are theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

# What a phoneme string holds besides sounds: stress, length, and the marks of the text.
MARKS = frozenset("ˈˌː;:,.!?—…\"“”()'")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it is written, and the phonemes that say it: `phonemes[first:end]`."""

    text: str
    first: int
    end: int


def spoken_words(
    text: str, phonemes: str, phonemes_of: Callable[[str], str]
) -> tuple[SpokenWord, ...]:
    """Find the words of `text` in `phonemes`, which say all of it.

    `phonemes_of` says one word alone. That need not be what it becomes in its sentence, nor as many
    words; so both are laid side by side, and each group of phonemes goes to the word that most of
    it matches. Words that share a group are one.

        "Pay $3 now" as "pˈA θɹˈi dˈɑləɹz nˈW": "Pay" (0, 3), "$3" (4, 16), "now" (17, 20)
    """
    words = text.split()
    alone = [(sound, n) for n, word in enumerate(words) for sound in _sounds(phonemes_of(word))]
    groups = _groups(phonemes)
    owners = _monotone(_owners(phonemes, groups, alone), len(words))
    spoken: list[SpokenWord] = []
    begun = 0  # words that were given out
    for n, (first, end) in enumerate(groups):
        if n and owners[n] == owners[n - 1]:
            spoken[-1] = SpokenWord(spoken[-1].text, spoken[-1].first, end)
            continue
        # Marks and words without sounds of their own belong to the word before, or to the first.
        until = next((one for one in owners[n:] if one != owners[n]), len(words))
        spoken.append(SpokenWord(" ".join(words[begun:until]), first, end))
        begun = until
    return tuple(spoken)


def _sounds(phonemes: str) -> str:
    return "".join(one for one in phonemes if one not in MARKS and not one.isspace())


def _groups(phonemes: str) -> list[tuple[int, int]]:
    """(first, end) of what stands between blanks, from its first sound to its last."""
    groups, at = [], 0
    for group in phonemes.split(" "):
        heard = [n for n, one in enumerate(group) if one not in MARKS]
        if heard:
            stress = heard[0] - (heard[0] > 0 and group[heard[0] - 1] in "ˈˌ")
            groups.append((at + stress, at + heard[-1] + 1))
        at += len(group) + 1
    return groups


def _owners(
    phonemes: str, groups: Sequence[tuple[int, int]], alone: Sequence[tuple[str, int]]
) -> list[int | None]:
    """The word that most sounds of each group match, None where none does."""
    heard = [(phonemes[at], n) for n, group in enumerate(groups) for at in range(*group)]
    heard = [(sound, n) for sound, n in heard if sound not in MARKS]
    votes: list[Counter[int]] = [Counter() for _ in groups]
    matcher = SequenceMatcher(
        None, [sound for sound, _ in heard], [sound for sound, _ in alone], autojunk=False
    )
    for a, b, size in matcher.get_matching_blocks():
        for n in range(size):
            votes[heard[a + n][1]][alone[b + n][1]] += 1
    return [max(vote, key=lambda word: (vote[word], -word)) if vote else None for vote in votes]


def _monotone(owners: Sequence[int | None], words: int) -> list[int]:
    """Never go back; what nobody owns belongs to the word before it."""
    result, last = [], 0
    for owner in owners:
        last = last if owner is None else max(last, owner)
        result.append(last)
    return result
