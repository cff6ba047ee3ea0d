"""A law: what must hold of a parser whatever bytes it is given, and inputs that it begins with.

A law is a function of bytes. It may raise nothing: what the parser refuses by its own words is
caught in it, everything else is a finding. Its seeds are read as they are by the tests, and the
fuzzer begins with them; `words` are pieces of the grammar that random bytes would hardly hit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[bytes], None]

T = TypeVar("T")

JSON = (
    *(b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"\\u0000", b"\\ud800", b"\\n"),
    *(b"-0", b"0.5", b"1e400", b"1e-400", b"NaN", b"9223372036854775807", b"9223372036854775808"),
    *(b"18446744073709551616", b"0" * 20, b"9" * 120),
)
"""Pieces of JSON, and numbers at the edges."""

MARKS = (
    b"..",
    b"/",
    b"%2e%2e",
    b"%00",
    b"\x00",
    b"@",
    b":",
    b"_",
    b"-",
    b"\xc0\xaf",
    b"\xe2\x80\xae",
)
"""What a name must not have, or must not begin with."""


@dataclass(frozen=True, slots=True)
class Law:
    """What the fuzzer runs under a name."""

    check: Check
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...]

    @property
    def package(self) -> str:
        """Of what it is: `logic` for those in `laws_logic`."""
        return self.check.__module__.rpartition("laws_")[2]


LONGEST_REFUSAL = 1000
"""Characters; what is refused may have megabytes, which nobody wants back."""

LAWS: dict[str, Law] = {}
"""Every law by its name; the modules beside this one add theirs."""


def law(*seeds: bytes, words: tuple[bytes, ...] = ()) -> Callable[[Check], Check]:
    """Enter a function among the laws."""

    def enter(check: Check) -> Check:
        assert check.__name__ not in LAWS
        LAWS[check.__name__] = Law(check, seeds, words)
        return check

    return enter


def unless(
    refused: type[Exception] | tuple[type[Exception], ...],
    make: Callable[[], T],
    *,
    longest: int = LONGEST_REFUSAL,
) -> T | None:
    """Return what is made; None where it is refused by one of these exceptions, in few words."""
    try:
        return make()
    except refused as error:
        said = str(error)
    assert len(said) <= longest, f"a refusal is no echo: {said}"
    return None


def text(data: bytes) -> str:
    """Return bytes as text, whatever they are."""
    return data.decode("utf-8", "replace")
