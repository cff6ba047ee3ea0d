"""Who asks and what they may: API tokens, their grants, and what a server makes of the one shown.

Times are what the server said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, get_args

from condstore.errors import UsageError
from condstore.results.parsing import Json, optional, several

Role: TypeAlias = Literal["reader", "producer", "editor", "admin"]
"""Each may do what those before it may."""

ROLES: Final[tuple[str, ...]] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on the global tags whose whole name the pattern `tags` matches (RE2's syntax)."""

    role: str
    tags: str

    @classmethod
    def parse(cls, text: str) -> Grant:
        """Read `ROLE:TAGS`; raise `UsageError`.

        >>> Grant.parse("editor:prompt.*")
        Grant(role='editor', tags='prompt.*')
        """
        role, colon, tags = text.partition(":")
        if role not in ROLES or not (colon and tags):
            raise UsageError(
                f"{text!r} is not ROLE:TAGS, for example 'editor:2026-.*'; the roles are "
                f"{', '.join(ROLES)}, and '.*' is every tag"
            )
        return cls(role, tags)

    @classmethod
    def read(cls, row: Json) -> Grant:
        """Read a grant as the servers tell it."""
        return cls(str(row["role"]), str(row["tags"]))

    def wire(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"role": self.role, "tags": self.tags}

    def __str__(self) -> str:
        return f"{self.role}:{self.tags}"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token that was made: never its secret, which nobody keeps.

    `revoked` is when it was, None if it was not; `last_used` is told to the minute, by pods that
    may be half a minute late.
    """

    id: str
    name: str
    grants: tuple[Grant, ...]
    expires: str | None
    made_by: str
    created: str
    revoked: str | None
    last_used: str | None

    @classmethod
    def read(cls, row: Json) -> ApiToken:
        """Read one row of the list of tokens."""
        return cls(
            id=str(row["id"]),
            name=str(row["name"]),
            grants=several(Grant.read, row["grants"]),
            expires=optional(str, row["expires"]),
            made_by=str(row["made_by"]),
            created=str(row["created"]),
            revoked=optional(str, row["revoked"]),
            last_used=optional(str, row["last_used"]),
        )

    @property
    def expired(self) -> bool:
        """Whether its time is over, by this machine's clock."""
        return self.expires is not None and datetime.fromisoformat(self.expires) <= datetime.now(
            UTC
        )


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made. `token` is told this once; nothing else shows it."""

    id: str
    name: str
    token: str = field(repr=False)
    grants: tuple[Grant, ...]
    expires: str | None
    made_by: str
    created: str

    @classmethod
    def read(cls, answer: Json) -> NewToken:
        """Read the answer to making a token."""
        return cls(
            id=str(answer["id"]),
            name=str(answer["name"]),
            token=str(answer["token"]),
            grants=several(Grant.read, answer["grants"]),
            expires=optional(str, answer["expires"]),
            made_by=str(answer["made_by"]),
            created=str(answer["created"]),
        )


@dataclass(frozen=True, slots=True)
class Whoami:
    """Who a server takes the caller for: the name in histories, what they may, until when.

    `kind` is what was shown: `jwt`, `token` (its id is `token`, given out by `made_by`), `admin`;
    or `anybody`, where `authentication` is not `on` but `off` or `loopback only`.
    """

    subject: str
    kind: str
    authentication: str
    grants: tuple[Grant, ...]
    expires: str | None
    made_by: str | None
    token: str | None

    @classmethod
    def read(cls, answer: Json) -> Whoami:
        """Read what a server says of the caller."""
        return cls(
            subject=str(answer["subject"]),
            kind=str(answer["kind"]),
            authentication=str(answer["authentication"]),
            grants=several(Grant.read, answer["grants"]),
            expires=optional(str, answer["expires"]),
            made_by=optional(str, answer["made_by"]),
            token=optional(str, answer["token"]),
        )


@dataclass(frozen=True, slots=True)
class PayloadLink:
    """A URL that gives one payload to whoever has it, without a token, until it expires."""

    url: str
    expires: str

    @classmethod
    def read(cls, answer: Json) -> PayloadLink:
        """Read a link."""
        return cls(str(answer["url"]), str(answer["expires"]))
