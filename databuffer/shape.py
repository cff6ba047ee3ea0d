"""How much a JSON text may hold, told from its bytes before it is parsed.

A text of three bytes a value becomes objects of eighty; nesting costs most. Counting commas and
brackets takes a fiftieth of the time of parsing, and where they stand in a string we only count too
much. Depth needs no count: the parser itself stops at 1024.
"""

from __future__ import annotations

from dataclasses import dataclass

from databuffer.errors import TooLarge

_FEW = 1 << 16  # bytes that can hold nothing worth counting


@dataclass(frozen=True, slots=True)
class Shape:
    """At most so many values, and among them so many arrays and objects."""

    values: int
    containers: int

    def check(self, text: bytes) -> None:
        """Raise `TooLarge` if the text may hold more."""
        if len(text) <= _FEW:
            return
        if text.count(b"[") + text.count(b"{") > self.containers:
            raise TooLarge(f"a body may have {self.containers} arrays and objects")
        if text.count(b",") + text.count(b":") > self.values:
            raise TooLarge(f"a body may have {self.values} values")
