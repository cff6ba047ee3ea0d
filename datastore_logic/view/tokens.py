"""API tokens as the view has them, and what each process remembers of them.

A token is looked up with every request that shows one, so a process keeps those it has met. What
it keeps is good for as long as no token was made or revoked: that is one comparison with what the
snapshot says of it, and to get that takes no look at the file while nothing at all was written.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from datastore_logic.access.api_tokens import ApiToken
from datastore_logic.access.roles import BadPattern, Grant, Principal, Role, TagPattern
from datastore_logic.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datastore_logic.access.giving import Owner
    from datastore_logic.view.database import Database, Snapshot

REMEMBERED: Final = 4096
"""Tokens that a process remembers."""

_COLUMNS: Final = "id, name, digest, grants, expires, made_by, made_with, created, lsn, revoked"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token; `grants` are (role, pattern), as they were told; times as the ledger has them."""

    id: str
    name: str
    digest: str = field(repr=False)
    grants: tuple[tuple[str, str], ...]
    expires: int
    made_by: str
    made_with: str | None
    created: str
    lsn: int
    revoked: str | None

    @classmethod
    def of(cls, columns: Sequence[Any]) -> TokenRow:
        """Make it from its columns."""
        token_id, name, digest, grants, *rest = columns
        return cls(token_id, name, digest, tuple(map(tuple, orjson.loads(grants))), *rest)

    def in_force(self, now: float) -> bool:
        """Return whether it proves something at `now`, seconds since 1970."""
        return self.revoked is None and now < self.expires

    def known(self) -> ApiToken:
        """Return it as requests are judged by."""
        grants = tuple(_understood(self))
        expires = float(self.expires)
        principal = Principal(self.name, grants, "token", expires, self.made_by, self.id)
        return ApiToken(self.id, self.digest, principal, self.revoked is not None)


def find_token(snapshot: Snapshot, token_id: str) -> TokenRow:
    """Return a token.

    Raises:
        NotFound: there is none of that id.
    """
    found = _some(snapshot, "WHERE id = ?", token_id)
    if not found:
        raise NotFound("token", token_id)
    return found[0]


def token_made_by(snapshot: Snapshot, lsn: int) -> TokenRow:
    """Return the token that an entry made.

    Raises:
        NotFound: it made none.
    """
    found = _some(snapshot, "WHERE lsn = ?", lsn)
    if not found:
        raise NotFound("token", f"made by LSN {lsn}")
    return found[0]


def tokens_named(snapshot: Snapshot, name: str) -> list[TokenRow]:
    """Return the tokens of a name, whether they are in force or not."""
    return _some(snapshot, "WHERE name = ?", name)


def tokens(snapshot: Snapshot, after: int, limit: int, of: Owner | None = None) -> list[TokenRow]:
    """Return the tokens that entries after an LSN made, in this order.

    Those `of` an owner are those that `Owner.has`, said in SQL.
    """
    if of is None:
        return _some(snapshot, "WHERE lsn > ? ORDER BY lsn LIMIT ?", after, limit)
    which = "lsn > ? AND (made_by = ? OR made_with = ? OR id = ?) ORDER BY lsn LIMIT ?"
    return _some(snapshot, f"WHERE {which}", after, of.person, of.token_id, of.token_id, limit)


def long_gone(snapshot: Snapshot, before: float) -> frozenset[str]:
    """Return the ids of tokens that were revoked or had expired before, seconds since 1970."""
    revoked = datetime.fromtimestamp(before, UTC).isoformat(timespec="microseconds")
    found = snapshot.connection.execute(
        "SELECT id FROM token WHERE expires < ? OR revoked < ?",
        (int(before), revoked.replace("+00:00", "Z")),
    )
    return frozenset(token_id for (token_id,) in found)


def _some(snapshot: Snapshot, which: str, *bound: object) -> list[TokenRow]:
    query = f"SELECT {_COLUMNS} FROM token {which}"  # noqa: S608 - our own words
    return [TokenRow.of(columns) for columns in snapshot.connection.execute(query, bound)]


def _understood(row: TokenRow) -> Iterator[Grant]:
    """Yield the grants; one that this version does not understand grants nothing."""
    for role, tags in row.grants:
        try:
            yield Grant(Role(role), TagPattern.parse(tags))
        except (ValueError, BadPattern) as reason:
            log.warning("token %s: a grant is not understood: %s", row.id, reason)


@dataclass(frozen=True, slots=True)
class _Met:
    """The tokens met since the view's `mark`, the hash of the last entry about any."""

    mark: str
    tokens: dict[str, ApiToken] = field(default_factory=dict)


class KnownTokens:
    """The tokens that one process knows; any number of threads may ask, none waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._met = _Met("")

    def find(self, token_id: str) -> ApiToken | None:
        """Return the token of an id as this pod's view has it now, None if there is none.

        Raises:
            ViewBuilding: the view does not yet know all tokens.
        """
        position = self._database.known_position()
        if position is not None and (met := self._since(position.tokens).get(token_id)):
            return met
        with self._database.snapshot() as snapshot:
            met = self._since(snapshot.position.tokens).get(token_id)
            return met or self._looked_up(snapshot, token_id)

    def _looked_up(self, snapshot: Snapshot, token_id: str) -> ApiToken | None:
        try:
            found = find_token(snapshot, token_id).known()
        except NotFound:
            return None  # not remembered: anybody may ask for what is not there
        known = self._since(snapshot.position.tokens)  # of the state that was read
        if len(known) < REMEMBERED:
            known[token_id] = found
        return found

    def _since(self, mark: str) -> dict[str, ApiToken]:
        """Return what was met since a mark; a row is kept under the mark it was read with."""
        met = self._met
        if met.mark != mark:
            self._met = met = _Met(mark)
        return met.tokens
