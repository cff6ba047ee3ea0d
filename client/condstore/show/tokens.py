"""Tokens and who one is, for people."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from condstore.access import MAKE
from condstore.terminal import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from condstore.results import ApiToken, Json, NewToken, Whoami
    from condstore.terminal import Terminal

_KINDS = {"jwt": "a JSON Web Token", "token": "API token", "admin": "the ADMIN_TOKEN"}
_EVERYBODY = "everybody who reaches it may do everything (authentication: {})"


def token_table(tokens: Sequence[ApiToken]) -> list[str]:
    """List tokens, a line each."""
    if not tokens:
        return [f"no tokens: {MAKE}"]
    rows = [
        (
            one.id,
            one.name,
            " ".join(map(str, one.grants)),
            _until(one),
            one.made_by,
            _minute(one.last_used) or "-",
        )
        for one in tokens
    ]
    return table(("id", "name", "may", "until (UTC)", "made by", "last used"), rows)


def made(token: NewToken, file: Path | None) -> list[str]:
    """Say what a new token is, without it."""
    until = f"until {_minute(token.expires)}" if token.expires else "without an end"
    where = f"is in {file}, which only you may read" if file else "is shown this once"
    may = ", ".join(map(str, token.grants))
    return [
        f"token {token.id} for {token.name}: {may}, {until}; it {where}",
        f"use it: export CONDSTORE_TOKEN_FILE={shlex.quote(str(file.absolute()))}"
        if file
        else "keep it where others do not read",
    ]


def made_wire(token: NewToken, *, secret: bool) -> Mapping[str, Json]:
    """Return what `--json` prints of a new token, with its secret or without."""
    known = {name: getattr(token, name) for name in token.__dataclass_fields__}
    return known if secret else {name: known[name] for name in known if name != "token"}


def whoami(found: Whoami, to: Terminal) -> list[str]:
    """Say who one is taken for."""
    if found.authentication != "on":
        return [found.subject, f"  {to.warn(_EVERYBODY.format(found.authentication))}"]
    by = f"{_KINDS.get(found.kind, found.kind)} {found.token or ''}".strip()
    about = [
        ("by", f"{by}, given out by {found.made_by}" if found.made_by else by),
        *(("may", str(grant)) for grant in found.grants or ("what everybody may, no more",)),
        ("until", found.expires or ""),
    ]
    return [to.bold(found.subject), *(f"  {name:5}  {said}" for name, said in about if said)]


def _until(one: ApiToken) -> str:
    if one.revoked is not None:
        return f"revoked {_minute(one.revoked)}"
    if one.expired:
        return f"expired {_minute(one.expires)}"
    return _minute(one.expires) or "-"


def _minute(time: str | None) -> str:
    return (time or "")[:16].replace("T", " ")
