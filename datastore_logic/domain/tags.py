"""Names, digests, and the states of a global tag with the one table of what each allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from datastore_logic.domain.errors import BadDigest, BadName, TagIsFrozen

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+~-]{0,199}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


class _Name(str):
    """A name that is safe in a URL path: `@` is kept free, for `TAG@<fingerprint>`."""

    __slots__ = ()
    field = "name"

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read a name: 1 to 200 of letters, digits and `_.:+~-`, not beginning with a mark.

        Raises:
            BadName: if it is anything else.
        """
        if not isinstance(text, str):
            raise BadName(cls.field, "must be a string")
        if not _NAME.fullmatch(text):
            shown = text if len(text) <= 60 else f"{text[:60]}…"
            raise BadName(
                cls.field,
                f"{shown!r} is not a name: 1 to 200 of letters, digits and _ . : + ~ - ,"
                " beginning with a letter, a digit or _",
            )
        return cls(text)


class TagName(_Name):
    """The name of a global tag.

    >>> TagName.parse("data_2026-prompt")
    'data_2026-prompt'
    """

    __slots__ = ()
    field = "tag"


@dataclass(frozen=True, slots=True)
class TagRef:
    """How a reader names a tag: as it is now, or by the fingerprint of its frozen content.

    >>> TagRef.parse("stream").fingerprint is None
    True
    """

    name: TagName
    fingerprint: str | None = None

    @classmethod
    def parse(cls, text: str) -> TagRef:
        """Read `TAG` or `TAG@<64 hexadecimal digits>`.

        Raises:
            BadName: if it is neither.
        """
        name, at, fingerprint = text.partition("@")
        if at and not _FINGERPRINT.fullmatch(fingerprint):
            raise BadName(TagName.field, "what follows @ must be a fingerprint of 64 hex digits")
        return cls(TagName.parse(name), fingerprint or None)

    def __str__(self) -> str:
        return self.name if self.fingerprint is None else f"{self.name}@{self.fingerprint}"


class PayloadTypeName(_Name):
    """The name of a payload type: `Beam`, `CEMC_Thresh`, `H1:LDAS-STRAIN`."""

    __slots__ = ()
    field = "type"


class Digest(str):
    """A payload's name by its content: `sha256:` and 64 lower-case hexadecimal digits."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Digest:
        """Read a digest.

        Raises:
            BadDigest: if it is anything else.
        """
        if not isinstance(text, str) or not _DIGEST.fullmatch(text):
            raise BadDigest("digest", "must be sha256: and 64 lower-case hexadecimal digits")
        return cls(text)

    @property
    def hex(self) -> str:
        """The digits alone."""
        return self.removeprefix("sha256:")


class TagState(StrEnum):
    """How much of a global tag may still change."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"
    FROZEN = "frozen"


class Act(StrEnum):
    """What somebody may want to do to a global tag."""

    INSERT_IOV = "insert an IOV"
    ATTACH_LIST = "attach a list"
    DETACH = "detach or delete an IOV or a list"
    DELETE_TAG = "delete the tag"


class Rule(StrEnum):
    """How far a state allows an act."""

    FREELY = "yes; the newest wins over its range"
    ADD_ONLY = "may append or fill a gap, never overlap"
    NEW_TYPE_ONLY = "only a new type"
    NEVER = "no"


ALLOWED: Final[Mapping[TagState, Mapping[Act, Rule]]] = MappingProxyType(
    {
        TagState.UNLOCKED: {
            Act.INSERT_IOV: Rule.FREELY,
            Act.ATTACH_LIST: Rule.FREELY,
            Act.DETACH: Rule.FREELY,
            Act.DELETE_TAG: Rule.FREELY,
        },
        TagState.LOCKED: {
            Act.INSERT_IOV: Rule.ADD_ONLY,
            Act.ATTACH_LIST: Rule.NEW_TYPE_ONLY,
            Act.DETACH: Rule.NEVER,
            Act.DELETE_TAG: Rule.NEVER,
        },
        TagState.FROZEN: {
            Act.INSERT_IOV: Rule.NEVER,
            Act.ATTACH_LIST: Rule.NEVER,
            Act.DETACH: Rule.NEVER,
            Act.DELETE_TAG: Rule.NEVER,
        },
    }
)
"""What each state allows. docs/conditions-model.md prints this table; a test compares them."""


def rule(state: TagState, act: Act, *, tag: str = "") -> Rule:
    """Return how far `state` allows `act`.

    Raises:
        TagIsFrozen: if the state is frozen; nothing is allowed then.
    """
    found = ALLOWED[state][act]
    if state is TagState.FROZEN and found is Rule.NEVER:
        raise TagIsFrozen(tag)
    return found
