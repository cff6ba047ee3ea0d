"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, what was seen, and what to do ("" if nothing is)."""

    what: str
    state: State
    said: str
    do: str = ""


def good(what: str, said: str, do: str = "") -> Finding:
    """Return what is as it should be; `do` is what one may do all the same."""
    return Finding(what, "good", said, do)


def warn(what: str, said: str, do: str) -> Finding:
    """Return what works, or will not for long."""
    return Finding(what, "warn", said, do)


def bad(what: str, said: str, do: str) -> Finding:
    """Return what has to be mended."""
    return Finding(what, "bad", said, do)
