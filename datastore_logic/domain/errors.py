"""What the conditions model refuses.

    DomainError
    ├── BadValue            what was given is not such a value; names the field
    │   ├── BadMoment
    │   ├── BadInterval
    │   ├── BadName
    │   └── BadDigest
    ├── StateForbids        the global tag's state does not allow it
    │   ├── TagIsFrozen
    │   ├── TagIsLocked
    │   ├── LockedOverlap
    │   ├── TagIsStreamed
    │   ├── FreezeNeedsTwo
    │   ├── OtherContent
    │   └── UnfreezeNeedsReason
    ├── AlreadyExists       a name that is taken
    ├── InUse               what others still need is not deleted
    └── LedgerEntryError    an entry of the ledger this code cannot take in
        ├── UnknownEvent
        └── BadEvent

Each class has a `code`, the machine-readable word of the error body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datastore_logic.domain.timeline import Row


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
    """A locked global tag takes no interval that overlaps one it has; `rows`: the new one, that."""

    code = "locked_overlap"

    def __init__(self, new: Row, held: Row) -> None:
        super().__init__(
            f"Global tag is locked: {new.interval} overlaps {held.interval},"
            f" which holds {held.payload.name}."
        )
        self.rows = (new, held)


class TagIsLocked(StateForbids):
    """A locked global tag loses nothing, and gains lists of new types only."""

    code = "tag_locked"


class TagIsStreamed(StateForbids):
    """The streaming buffer's tag changes with the buffer, never by itself."""

    code = "tag_streamed"


class FreezeNeedsTwo(StateForbids):
    """Two must agree on what is frozen, so nothing is frozen by the act that makes it."""

    code = "freeze_needs_two"

    def __init__(self, tag: str) -> None:
        super().__init__(
            f"Global tag {tag} is not made frozen: here one proposes a freeze and another confirms"
            " it. Make it unlocked, then freeze it."
        )


class OtherContent(StateForbids):
    """The global tag does not hold what its freezing was asked for."""

    code = "other_content"

    def __init__(self, tag: str, holds: str) -> None:
        super().__init__(f"Global tag {tag} holds other content: its fingerprint is {holds}.")


class UnfreezeNeedsReason(StateForbids):
    """Unfreezing is an admin's act, and says why."""

    code = "reason_needed"


class AlreadyExists(DomainError):
    """There is one of that name; `what` is global_tag, payload_type or token."""

    code = "already_exists"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"There is a {what.replace('_', ' ')} {name} already.")
        self.what = what


class InUse(DomainError):
    """What others still need, or what still holds something, is not deleted."""

    code = "in_use"


class LedgerEntryError(DomainError):
    """An entry of the ledger that this version cannot take in."""

    code = "ledger_entry"


class UnknownEvent(LedgerEntryError):
    """An entry of a type this version does not know: a newer one wrote it."""

    code = "ledger_too_new"


class BadEvent(LedgerEntryError):
    """An entry of a known type whose data lack something."""

    code = "ledger_damaged"
