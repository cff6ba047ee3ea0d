"""What a principal may do: a role on the tags that a pattern covers.

Roles include each other, in the order of `Role`. A pattern is matched against the whole of a tag's
name, by RE2: in time linear in the name, whatever the pattern. What is in no tag (a payload type, a
list not attached, a payload's bytes) decides no result, so any grant of the role will do for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

import re2

from datastore_logic.domain.errors import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_PATTERN: Final = 500
LONGEST_SUBJECT: Final = 200
_OPTIONS: Final = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


class Role(StrEnum):
    """What one may do; each may do what those before it may."""

    READER = "reader"
    """Read."""
    PRODUCER = "producer"
    """Stream segments, store payloads; make what is in no tag yet."""
    EDITOR = "editor"
    """Insert payload IOVs, attach and detach payload lists."""
    ADMIN = "admin"
    """Create, lock, freeze, unfreeze and delete tags; give and revoke tokens."""

    def includes(self, other: Role) -> bool:
        """Say whether who has this role has the other one.

        >>> Role.EDITOR.includes(Role.PRODUCER), Role.READER.includes(Role.PRODUCER)
        (True, False)
        """
        return _ORDER[self] >= _ORDER[other]


_ORDER: Final = {role: place for place, role in enumerate(Role)}


class BadPattern(BadValue):
    """A pattern that RE2 cannot match."""

    code = "bad_pattern"


@dataclass(frozen=True, slots=True)
class TagPattern:
    """A regular expression that covers the tags whose whole name it matches.

    >>> TagPattern.parse("prompt.*").covers("prompt_2026"), TagPattern.parse("a").covers("ab")
    (True, False)
    """

    text: str
    _matches: Callable[[str], object] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: object, field: str = "tags") -> TagPattern:
        """Read a pattern of 1 to 500 printable characters, in RE2's syntax.

        Raises:
            BadPattern: naming the field.
        """
        if not (isinstance(text, str) and 0 < len(text) <= LONGEST_PATTERN and text.isprintable()):
            raise BadPattern(field, f"must be a pattern of 1 to {LONGEST_PATTERN} characters")
        try:
            return cls(text, re2.compile(text, _OPTIONS).fullmatch)
        except re2.error as reason:
            raise BadPattern(field, f"is no pattern that RE2 knows: {_words(reason)}") from reason

    def covers(self, name: str) -> bool:
        """Say whether the whole of a name matches."""
        return self._matches(name) is not None

    @property
    def covers_all(self) -> bool:
        """Whether it is the pattern of everything; others are not looked into."""
        return self.text == ".*"


def _words(reason: Exception) -> str:
    told = reason.args[0] if reason.args else ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on the tags that a pattern covers."""

    role: Role
    pattern: TagPattern

    def wire(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"role": self.role.value, "tags": self.pattern.text}


Kind = Literal["jwt", "token", "admin", "anybody"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. `subject` is the name that the ledger keeps; `expires` seconds since 1970.

    `made_by` is who gave an API token out, and `token_id` which it is.
    """

    subject: str
    grants: tuple[Grant, ...]
    kind: Kind
    expires: float | None = None
    made_by: str | None = None
    token_id: str | None = None

    @property
    def is_verified(self) -> bool:
        """Whether the subject has been proven, rather than said."""
        return self.kind != "anybody"

    @property
    def proven(self) -> str | None:
        """The subject, None where it has only been said."""
        return self.subject if self.is_verified else None

    def may(self, role: Role, tag: str | None = None) -> bool:
        """Say whether a grant gives the role on the tag; without one, on any tag at all."""
        return any(
            grant.role.includes(role) and (tag is None or grant.pattern.covers(tag))
            for grant in self.grants
        )

    def may_everywhere(self, role: Role) -> bool:
        """Say whether a grant gives the role on every tag there is or will be."""
        return any(grant.role.includes(role) and grant.pattern.covers_all for grant in self.grants)

    def granted(self, *more: Grant) -> Principal:
        """Return the same principal with further grants."""
        return replace(self, grants=(*self.grants, *more))


EVERYTHING: Final = Grant(Role.ADMIN, TagPattern.parse(".*"))
"""The grant of whoever may do all."""

ANYBODY: Final = Principal("anonymous", (EVERYTHING,), "anybody")
"""Who asks where no authentication is configured: may do all, and is who they say."""
