"""A fault that the program once had, or could have, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class StaleFaultError(Exception):
    """The source no longer holds what a fault replaces."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One substitution in one file, and tests each of which must fail with it."""

    what: str  # the program does with it
    file: str  # below the package
    old: str  # stands in the file exactly once
    new: str
    tests: tuple[str, ...]  # below tests/, as pytest names them

    def changed(self, text: str) -> str:
        """The file's text with the fault. StaleFaultError where it does not hold `old` once."""
        found = text.count(self.old)
        if found != 1:
            raise StaleFaultError(
                f"{self.file} holds {found} times what {self.what!r} replaces; write the fault "
                "for the source as it is now."
            )
        return text.replace(self.old, self.new)

    def plant(self, package: Path) -> None:
        """Change a copy of the package."""
        path = package / self.file
        path.write_text(self.changed(path.read_text("utf-8")), "utf-8")


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that SECURITY.md says, and faults that break it."""

    name: str  # on the command line
    text: str
    faults: tuple[Fault, ...]
