"""Who asks: whether the servers want to know, for whom they take this machine, and for how long."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from condstore.access import MAKE, NOBODY, Access, in_the_clear, is_loopback
from condstore.calls import V1
from condstore.doctor.asking import Reached, ask
from condstore.doctor.finding import Finding, bad, good, warn
from condstore.doctor.told import read
from condstore.errors import UsageError
from condstore.results import Whoami

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.doctor.servers import Replica

_WHAT: Final = "who asks"
_SOON: Final = 7 * 86400  # seconds
_AT_ONCE: Final = 300
_OTHERS_READ: Final = 0o007


def usable(access: Access, what: str) -> tuple[Access, tuple[Finding, ...]]:
    """Return how servers can be asked, and what is wrong with the files that say so."""
    try:
        access.context()
    except UsageError as error:
        do = "mend CONDSTORE_CA, or unset it for the usual CAs"
        return NOBODY, (bad("certificates", str(error), do),)
    try:
        access.credential.header()
    except UsageError as error:
        do = f"name a file that holds it, by its whole path, or unset {access.credential.name}"
        return dataclasses.replace(NOBODY, ca=access.ca), (bad(what, str(error), do),)
    return access, ()


def findings(replicas: tuple[Replica, ...], access: Access, now: float) -> Iterator[Finding]:
    """Say what of authentication and of the token is not as it should be, and who one is."""
    told = [one for one in replicas if one.authentication is not None]
    for one in told:
        yield from _everybody(one)
    yield from _shown(replicas, access)
    if told and told[0].authentication == "on":
        yield _taken_for(told[0].url, access, now)


def _everybody(replica: Replica) -> Iterator[Finding]:
    """Say where anybody who reaches a server may do everything."""
    if replica.authentication == "on":
        return
    if is_loopback(urlsplit(replica.url).hostname or ""):
        if replica.authentication == "off":
            said = f"{replica.url} asks nobody who they are (AUTH=off)"
            yield warn(_WHAT, said, "unset AUTH, unless whoever reaches it may do everything")
        return
    said = f"{replica.url} lets everybody who reaches it do everything"
    yield bad(_WHAT, said, "give its servers an ADMIN_TOKEN or a JWT_SECRET, and unset AUTH=off")


def _shown(replicas: tuple[Replica, ...], access: Access) -> Iterator[Finding]:
    """Say where others could come by the token: on the way, or on the disk."""
    credential = access.credential
    if not credential.told:
        return
    if clear := [one.url for one in replicas if in_the_clear(one.url)]:
        said = f"the token goes over plain http to {', '.join(clear)}"
        yield warn("token", said, "give https:// URLs (CONDSTORE_CA for a CA of your own)")
    if credential.path is not None and credential.path.stat().st_mode & _OTHERS_READ:
        said = f"everybody on this machine may read {credential.path}"
        yield warn("token", said, f"chmod 600 {credential.path}")


def _taken_for(url: str, access: Access, now: float) -> Finding:
    credential = access.credential
    if not credential.told:
        return _anonymous(url, access)
    asked = ask(url, f"{V1}/whoami", access)
    if not isinstance(asked, Reached):
        return warn(_WHAT, f"{url} gives no answer to that ({asked.why})", "try again")
    if asked.status in {401, 403}:
        said = str(asked.body.get("detail") or "refused")
        return bad(_WHAT, f"{url} says of {credential.name}: {said}", credential.advice(said))
    if asked.status == 429:
        said = str(asked.body.get("detail") or "too many requests")
        return warn(_WHAT, f"{url} says: {said}", "wait; and look who here shows what is not taken")
    one = read(Whoami.read, asked.body)
    if one is None:
        return warn(_WHAT, f"{url} does not say ({asked.status})", "look at its log")
    return _known(one, now)


def _anonymous(url: str, access: Access) -> Finding:
    """Say what is open to who has no token: reads, or nothing."""
    asked = ask(url, f"{V1}/global-tags?limit=1", access)
    if isinstance(asked, Reached) and asked.status == 401:
        said = f"nobody: no token, and {url} wants one for reads too"
        return bad(_WHAT, said, access.credential.advice(""))
    return good(_WHAT, "nobody: no token, so what anonymous reads may do", f"an admin: {MAKE}")


def _known(one: Whoami, now: float) -> Finding:
    may = ", ".join(map(str, one.grants)) or "nothing"
    said = f"{one.subject}, may {may}"
    if one.expires is None:
        return good(_WHAT, f"{said}, without an end")
    said = f"{said}, until {one.expires}"
    left = _moment(one.expires) - now
    if one.kind == "jwt":  # is short, and renewed by who issues it
        return (
            warn(_WHAT, said, "get a new one where it came from")
            if left < _AT_ONCE
            else good(_WHAT, said)
        )
    if left < _SOON:
        return warn(_WHAT, said, f"make a new token before that: {MAKE}")
    return good(_WHAT, said)


def _moment(text: str) -> float:
    """Return a server's time in seconds since 1970; what is none is long away."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return float("inf")
