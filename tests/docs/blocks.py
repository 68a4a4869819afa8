"""The code blocks of the documentation, each with the page and the heading it stands under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/README.md"]
FENCE = re.compile(r"^```(\w*)$")
REASON = re.compile(r"^<!-- not run: (.+) -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block."""

    page: str  # from the root of the repository
    heading: str
    line: int  # of its first line of code, from 1
    language: str
    text: str
    reason: str | None  # for not being run, from the comment before it

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def program(self) -> str:
        """Its text, on the lines where the page has it."""
        return "\n" * (self.line - 1) + self.text


def blocks_of(path: Path) -> list[Block]:
    """All blocks of a page, in order."""
    found: list[Block] = []
    heading, before, language, start = "", "", None, 0
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines, 1):
        fence = FENCE.match(line)
        if language is None and fence:
            language, start = fence[1], number
        elif language is not None and line == "```":
            reason = REASON.match(before)
            text = "".join(f"{one}\n" for one in lines[start : number - 1])
            page = path.relative_to(ROOT).as_posix()
            found.append(
                Block(page, heading, start + 1, language, text, reason[1] if reason else None)
            )
            language, before = None, ""
        elif language is None and line.strip():
            before = line
            heading = line.lstrip("# ") if line.startswith("#") else heading
    assert language is None, f"{path}: a block has no end"
    return found


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def runnable(*languages: str) -> list[Block]:
    """The blocks in one of these languages that are to be run."""
    return [block for block in BLOCKS if block.language in languages and block.reason is None]
