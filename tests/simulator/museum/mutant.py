"""What an exhibit is."""

from dataclasses import dataclass
from pathlib import Path

import minimr

PACKAGE = Path(minimr.__file__).parent
"""The healthy code."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """In `file`, below the package, the text `old` stands exactly once; the mutant has `new` there.

    `bug` says whose mistake this is and what it does. The hunt goes through `seeds` seeds of the
    simulator's `mode`, from 0 on ("gang" are the worlds with a gang). They draw from all kinds of
    faults, or, where what the bug needs comes together too seldom for a quick hunt, from `kinds`
    alone.
    """

    name: str
    bug: str
    file: str
    old: str
    new: str
    mode: str = "safety"
    seeds: int = 600
    kinds: tuple[str, ...] | None = None

    def source(self) -> str:
        """The mutated file."""
        healthy = (PACKAGE / self.file).read_text("utf-8")
        if healthy.count(self.old) != 1:
            raise ValueError(f"{self.name}: its old text stands {healthy.count(self.old)} times")
        return healthy.replace(self.old, self.new)
