"""The result of one comparison."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One comparison: how far we are from the recording and how far we may be."""

    name: str  # file and array, as a reader would look it up
    error: float  # the largest difference found; 0 for exact matches, inf for a wrong shape
    limit: float  # the largest difference allowed
    intended: str = ""  # why we differ on purpose, with upstream's fault; empty otherwise

    @property
    def passed(self) -> bool:
        """Within the limit, or different on purpose."""
        return self.error <= self.limit or bool(self.intended)

    def __str__(self) -> str:
        verdict = "pass" if self.error <= self.limit else "intended" if self.intended else "FAIL"
        line = f"{verdict:8} {self.name:64} {self.error:10.3g} <= {self.limit:g}"
        return f"{line}  {self.intended}" if self.intended else line
