"""Names, digests, and the states of a global tag with the one table of what each allows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from datastore_logic.domain.errors import BadDigest, BadName, TagIsFrozen, TagIsLocked

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+~-]{0,199}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_LSN: Final = re.compile(r"[0-9]{1,18}")
_LIST: Final = re.compile(r"(.+)_([1-9][0-9]{0,17})")


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
    """How a reader names a tag: as it is now, by a fingerprint of its content, or as of an LSN.

    >>> TagRef.parse("stream@17").lsn
    17
    """

    name: TagName
    fingerprint: str | None = None
    lsn: int | None = None

    @classmethod
    def parse(cls, text: str) -> TagRef:
        """Read `TAG`, `TAG@<64 hexadecimal digits>` or `TAG@<LSN>`.

        Raises:
            BadName: if it is none of them.
        """
        name, at, mark = text.partition("@")
        if not at:
            return cls(TagName.parse(name))
        if _FINGERPRINT.fullmatch(mark):
            return cls(TagName.parse(name), fingerprint=mark)
        if _LSN.fullmatch(mark):
            return cls(TagName.parse(name), lsn=int(mark))
        raise BadName(
            TagName.field,
            "what follows @ must be a fingerprint of 64 hexadecimal digits or the number of an LSN",
        )

    def __str__(self) -> str:
        mark = self.fingerprint if self.fingerprint is not None else self.lsn
        return self.name if mark is None else f"{self.name}@{mark}"


class PayloadTypeName(_Name):
    """The name of a payload type: `Beam`, `CEMC_Thresh`, `H1:LDAS-STRAIN`."""

    __slots__ = ()
    field = "type"


class TokenName(_Name):
    """The name of an API token, under which it acts."""

    __slots__ = ()
    field = "name"


class ListName(str):
    """The name of a payload list: its payload type, `_` and its id.

    >>> ListName.parse("CEMC_Thresh_12").id
    12
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> ListName:
        """Read a list's name.

        Raises:
            BadName: if it is anything else.
        """
        found = _LIST.fullmatch(text) if isinstance(text, str) and len(text) <= 220 else None
        if found is None:
            raise BadName("payload_list", "must be a payload type, _ and the list's number")
        PayloadTypeName.parse(found[1])
        return cls(found[0])

    @classmethod
    def of(cls, payload_type: str, list_id: int) -> ListName:
        """Return the name of a list."""
        return cls(f"{payload_type}_{list_id}")

    @property
    def id(self) -> int:
        """The list's id."""
        return int(self.rpartition("_")[2])

    @property
    def payload_type(self) -> PayloadTypeName:
        """The list's payload type."""
        return PayloadTypeName(self.rpartition("_")[0])


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


class Becoming(StrEnum):
    """How one state may follow another."""

    FREELY = "yes"
    SAME = "nothing changes"
    WITH_REASON = "an admin, with a reason"


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


MAY_BECOME: Final[Mapping[TagState, Mapping[TagState, Becoming]]] = MappingProxyType(
    {
        TagState.UNLOCKED: {
            TagState.UNLOCKED: Becoming.SAME,
            TagState.LOCKED: Becoming.FREELY,
            TagState.FROZEN: Becoming.FREELY,
        },
        TagState.LOCKED: {
            TagState.UNLOCKED: Becoming.FREELY,
            TagState.LOCKED: Becoming.SAME,
            TagState.FROZEN: Becoming.FREELY,
        },
        TagState.FROZEN: {
            TagState.UNLOCKED: Becoming.WITH_REASON,
            TagState.LOCKED: Becoming.WITH_REASON,
            TagState.FROZEN: Becoming.SAME,
        },
    }
)
"""Which state may follow which. docs/conditions-model.md prints this table, too."""


def rule(state: TagState, act: Act, *, tag: str = "") -> Rule:
    """Return how far `state` allows `act`.

    Raises:
        TagIsFrozen, TagIsLocked: it does not allow it at all.
    """
    found = ALLOWED[state][act]
    if found is Rule.NEVER:
        if state is TagState.FROZEN:
            raise TagIsFrozen(tag)
        raise TagIsLocked(f"Global tag {tag} is locked: it does not allow to {act}.")
    return found
