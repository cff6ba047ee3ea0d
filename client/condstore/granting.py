"""The part of `Client` for who may do what: tokens given out and taken back, links to payloads."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from condstore.asking import Asking
from condstore.calls import V1, Call, step
from condstore.digests import Digest
from condstore.results import ApiToken, Grant, NewToken, PayloadLink, Whoami, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from condstore.results import Json


class Granting(Asking):
    """Say who asks, and let others ask."""

    def whoami(self) -> Whoami:
        """Return who the server takes this client for, and what they may."""
        return self._server("who one is").read(Whoami.read, f"{V1}/whoami")

    def tokens(self) -> tuple[ApiToken, ...]:
        """Return all API tokens that were ever made, without their secrets."""
        rows = self._server("the list of tokens").pages(f"{V1}/tokens", "tokens")
        return tuple(parse(ApiToken.read, row, "the server") for row in rows)

    def make_token(
        self,
        name: str,
        grants: Iterable[Grant | tuple[str, str]],
        expires_in: timedelta | float | None = None,
    ) -> NewToken:
        """Make an API token, and return it with its secret: nobody is told that again.

        Under `name` it acts, in every history. `grants` are roles on tags, ("editor", "prompt.*");
        `expires_in` is seconds, None 90 days, or as long as the token that it is made with.

        Raises:
            Denied: who makes it has not themselves what they would give.
            Conflict: a token of that name is in force; or an answer was lost (`token_already_made`)
                and with it the secret: revoke it and make another.
        """
        told: dict[str, Json] = {"name": name, "grants": [_wire(grant) for grant in grants]}
        if expires_in is not None:
            told["expires_in"] = _seconds(expires_in)
        call = Call("POST", f"{V1}/tokens", json=told)
        return self._server("making a token").act(NewToken.read, call)

    def revoke_token(self, token_id: str) -> int:
        """Take a token back: no replica takes it any more within a second; return the LSN."""
        call = Call("DELETE", f"{V1}/tokens/{step(token_id)}")
        return self._server("revoking a token").act(lambda answer: int(answer["lsn"]), call)

    def payload_link(
        self, digest: Digest | str, lifetime: timedelta | float | None = None
    ) -> PayloadLink:
        """Return a link that gives a payload to whoever has it, without a token, for a while.

        `lifetime` is seconds, None as long as the server thinks; raises `NotFound`
        (`links_not_offered`) where nobody but the servers reaches the databuffer.
        """
        path = f"{V1}/payloads/sha256/{Digest.parse(digest).hex}/link"
        params = {} if lifetime is None else {"lifetime": str(_seconds(lifetime))}
        return self._server("a link to a payload").read(PayloadLink.read, path, params)


def _seconds(time: timedelta | float) -> int:
    return int(time.total_seconds() if isinstance(time, timedelta) else time)


def _wire(grant: Grant | tuple[str, str]) -> dict[str, str]:
    return (grant if isinstance(grant, Grant) else Grant(*grant)).wire()
