"""What the conditions model refuses.

    DomainError
    ├── BadValue            what was given is not such a value; names the field
    │   ├── BadMoment
    │   ├── BadInterval
    │   ├── BadName
    │   └── BadDigest
    ├── StateForbids        the global tag's state does not allow it
    │   ├── TagIsFrozen
    │   └── LockedOverlap
    └── LedgerEntryError    an entry of the ledger this code cannot take in
        ├── UnknownEvent
        └── BadEvent

Each class has a `code`, the machine-readable word of the error body.
"""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """Root of what the conditions model raises; `str()` is fit to show to a user."""

    code: ClassVar[str] = "domain_error"


class BadValue(DomainError):
    """A value that cannot be: malformed, or out of range."""

    code = "bad_value"

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


class BadMoment(BadValue):
    """Not two integers from 0 to 2^63-1."""

    code = "bad_moment"


class BadInterval(BadValue):
    """An interval whose end does not come after its start."""

    code = "bad_interval"


class BadName(BadValue):
    """A name that could not stand in a URL, or is too long."""

    code = "bad_name"


class BadDigest(BadValue):
    """Not `sha256:` and 64 lower-case hexadecimal digits."""

    code = "bad_digest"


class StateForbids(DomainError):
    """The state of the global tag does not allow the change."""

    code = "state_forbids"


class TagIsFrozen(StateForbids):
    """The global tag is frozen: its content never changes again."""

    code = "tag_frozen"

    def __init__(self, tag: str = "") -> None:
        super().__init__(f"Global tag {tag} is frozen." if tag else "Global tag is frozen.")


class LockedOverlap(StateForbids):
    """A locked global tag takes no interval that overlaps one it has."""

    code = "locked_overlap"


class LedgerEntryError(DomainError):
    """An entry of the ledger that this version cannot take in."""

    code = "ledger_entry"


class UnknownEvent(LedgerEntryError):
    """An entry of a type this version does not know: a newer one wrote it."""

    code = "ledger_too_new"


class BadEvent(LedgerEntryError):
    """An entry of a known type whose data lack something."""

    code = "ledger_damaged"
