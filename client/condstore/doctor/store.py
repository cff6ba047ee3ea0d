"""The databuffer, which only `condstore verify` asks itself, and the streaming buffer in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.access import NOBODY, Access
from condstore.doctor.asking import Reached, Unreached, ask
from condstore.doctor.finding import Finding, bad, good, warn
from condstore.doctor.servers import unreached
from condstore.doctor.told import Databuffer, Held, Logic, read
from condstore.terminal import plural, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.doctor.servers import Replica

_WHAT = "databuffer"
_FULL, _FILLING = 0.98, 0.9
_LOOK = "look at its log and at the volume"
_ROOM = (
    "enlarge it, or `condstore admin compact`; a full volume answers 507 to every write and "
    "loses nothing"
)


@dataclass(frozen=True, slots=True)
class Store:
    """What DB_BURL answered about itself and about the buffer; `secret`: where one was told."""

    url: str
    ready: Reached | Unreached
    stat: Reached | Unreached
    secret: str = ""


def look(url: str, access: Access = NOBODY) -> Store:
    """Ask the databuffer, of its buffer with the tier secret if there is one."""
    ready = ask(url, "/readyz", access)
    stat = ask(url, "/stat", access) if isinstance(ready, Reached) else ready
    return Store(url, ready, stat, access.credential.name if access.credential.told else "")


def findings(store: Store, replicas: tuple[Replica, ...]) -> Iterator[Finding]:
    """Say how the databuffer is and whether it is the one behind the replicas."""
    asked, url = store.ready, store.url
    if isinstance(asked, Unreached):
        found = unreached(_WHAT, url, asked, "DB_BURL")
        only = f"{found.said}; only `condstore verify` asks there"
        yield warn(_WHAT, only, found.do)
        return
    told = read(Databuffer.read, asked.body)
    if told is None:
        yield _stranger(url, asked)
        return
    yield _standing(url, told)
    yield _volume(told)
    if isinstance(store.stat, Reached):
        yield from _stat(store.stat, told.buffer, store.secret)
    yield from _other_ledger(told.ledger, replicas)


def of_replica(replica: Replica, store: Store) -> Iterator[Finding]:
    """Say what was found at a replica; whether writes are taken, its databuffer knows better."""
    asked = store.ready
    told = read(Databuffer.read, asked.body) if isinstance(asked, Reached) else None
    knows = told is not None and told.ledger == replica.ledger
    for finding in replica.findings:
        if told and knows and told.refuses and (finding.what, finding.state) == ("writes", "good"):
            do = _ROOM if _is_short(told) else f"{_LOOK} ({store.url})"
            yield bad("writes", f"refused: {told.refuses}; reads go on", do)
        else:
            yield finding


def _stranger(url: str, asked: Reached) -> Finding:
    logic = read(Logic.read, asked.body)
    is_ = "is the logic tier" if logic else f"is another service ({asked.status} to /readyz)"
    return bad(_WHAT, f"{url} {is_}", "DB_BURL names the databuffer (port 8080)")


def _standing(url: str, told: Databuffer) -> Finding:
    if told.ready:
        return good(_WHAT, f"{url} is ready, LSN {told.lsn}")
    said = "; ".join(told.failing) or "it is stopping"
    return bad(_WHAT, f"{url} is not ready: {said}", _LOOK)


def _volume(told: Databuffer) -> Finding:
    if _is_short(told):
        said = f"{size(told.free)} left, less than its reserve of {size(told.reserve)}"
        return bad("volume", said, _ROOM)
    said = f"{100 * told.used:.0f} % full, {size(told.free)} left"
    if told.used < _FILLING:
        return good("volume", said)
    return bad("volume", said, _ROOM) if told.used >= _FULL else warn("volume", said, _ROOM)


def _is_short(told: Databuffer) -> bool:
    return told.free < told.reserve


def _stat(stat: Reached, state: str, secret: str) -> Iterator[Finding]:
    held = read(Held.read, stat.body)
    if held is not None:
        yield _buffer(held, state)
    elif stat.status == 401 and secret:
        said = f"the databuffer does not take what {secret} holds; condstore verify will fail"
        yield bad("tier secret", said, f"put there what the databuffer has, or unset {secret}")
    elif stat.status == 401:
        said = f"{state}; what it holds is told to who shows the tiers' secret"
        yield good("buffer", said, "condstore verify wants BUFFER_TOKEN or BUFFER_TOKEN_FILE too")


def _buffer(held: Held, state: str) -> Finding:
    amount = f"{plural(held.files, 'file')}, {size(held.size)}"
    if state != "FROZEN":
        return good("buffer", f"{state}, {amount}")
    said = f"FROZEN with {amount}: segments are refused"
    return warn("buffer", said, "when its training is done: condstore buffer flush")


def _other_ledger(ledger: str, replicas: tuple[Replica, ...]) -> Iterator[Finding]:
    others = {one.ledger for one in replicas if one.ledger} - {ledger}
    if others:
        yield bad(
            "ledger",
            f"DB_BURL's is {ledger}, the logic tier's {', '.join(sorted(others))}",
            "point CONDSTORE_URL and DB_BURL to one installation: verify checks the other one",
        )
