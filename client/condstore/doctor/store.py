"""The databuffer, which only `condstore verify` asks itself, and the streaming buffer in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from condstore.doctor.asking import Reached, Unreached, ask
from condstore.doctor.finding import Finding, bad, good, warn
from condstore.doctor.servers import unreached
from condstore.terminal import plural, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.doctor.servers import Replica

_WHAT = "databuffer"
_FULL, _FILLING = 0.98, 0.9


@dataclass(frozen=True, slots=True)
class Store:
    """What DB_BURL answered about itself and about the buffer."""

    url: str
    ready: Reached | Unreached
    stat: Reached | Unreached


def look(url: str) -> Store:
    """Ask the databuffer."""
    ready = ask(url, "/readyz")
    return Store(url, ready, ask(url, "/stat") if isinstance(ready, Reached) else ready)


def findings(store: Store, replicas: tuple[Replica, ...]) -> Iterator[Finding]:
    """Say how the databuffer is and whether it is the one behind the replicas."""
    asked, url = store.ready, store.url
    if isinstance(asked, Unreached):
        found = unreached(_WHAT, url, asked, "DB_BURL")
        only = f"{found.said}; only `condstore verify` asks there"
        yield warn(_WHAT, only, found.do)
        return
    if "volume" not in asked.body:
        logic = "applied_lsn" in asked.body
        is_ = "is the logic tier" if logic else f"is another service ({asked.status} to /readyz)"
        yield bad(_WHAT, f"{url} {is_}", "DB_BURL names the databuffer (port 8080)")
        return
    yield _standing(url, asked)
    yield _volume(asked)
    yield from _buffer(store, str(asked.body.get("buffer")))
    yield from _other_ledger(str(asked.body.get("ledger", {}).get("id")), replicas)


def _standing(url: str, asked: Reached) -> Finding:
    if asked.body.get("ready"):
        lsn = asked.body.get("ledger", {}).get("lsn")
        return good(_WHAT, f"{url} is ready, LSN {lsn}")
    failed = [f"{name}: {how}" for name, how in asked.body.get("checks", {}).items() if how != "ok"]
    said = "; ".join(failed) or "it is stopping"
    return bad(_WHAT, f"{url} is not ready: {said}", "look at its log and at the volume")


def _volume(asked: Reached) -> Finding:
    volume = asked.body["volume"]
    used, free = float(volume["used"]), size(int(volume["bytes_free"]))
    said = f"{100 * used:.0f} % full, {free} left"
    if used < _FILLING:
        return good("volume", said)
    do = "give it room: a full volume answers 507 to every write and loses nothing"
    return bad("volume", said, do) if used >= _FULL else warn("volume", said, do)


def _buffer(store: Store, state: str) -> Iterator[Finding]:
    if not isinstance(store.stat, Reached) or "n_itm" not in store.stat.body:
        return
    files, filled = (int(store.stat.body[name]) for name in ("n_itm", "buff_size"))
    held = f"{plural(files, 'file')}, {size(filled)}"
    if state == "FROZEN":
        said = f"FROZEN with {held}: segments are refused"
        yield warn("buffer", said, "when its training is done: condstore buffer flush")
    else:
        yield good("buffer", f"{state}, {held}")


def _other_ledger(ledger: str, replicas: tuple[Replica, ...]) -> Iterator[Finding]:
    others = {one.ledger for one in replicas if one.ledger} - {ledger}
    if others:
        yield bad(
            "ledger",
            f"DB_BURL's is {ledger}, the logic tier's {', '.join(sorted(others))}",
            "point CONDSTORE_URL and DB_BURL to one installation: verify checks the other one",
        )
