"""The logic tier at each URL: is it there, is it condstore, does it write, which ledger has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from condstore.access import NOBODY, Access, is_loopback
from condstore.doctor.asking import Reached, Unreached, ask
from condstore.doctor.finding import Finding, bad, good, warn
from condstore.doctor.told import Databuffer, Logic, read
from condstore.errors import public

if TYPE_CHECKING:
    from collections.abc import Iterator

TIER = "logic tier"
SLOW = 0.5  # seconds for an answer that takes a server a millisecond
_BEHIND = 100  # entries
_SKEWED = 5.0  # seconds
START = "start it with `condstore up`, or point {variable} to where it runs"


@dataclass(frozen=True, slots=True)
class Replica:
    """A URL, what was found there, and which ledger it follows (None: it is no replica).

    `authentication` is `on`, `off` or `loopback only`, None where none is told of.
    """

    url: str
    findings: tuple[Finding, ...]
    ledger: str | None = None
    lsn: int = 0
    authentication: str | None = None


def look(url: str, access: Access = NOBODY) -> Replica:
    """Return what is found at a URL that CONDSTORE_URL names."""
    asked = ask(url, "/readyz", access)
    if isinstance(asked, Unreached):
        return Replica(url, (unreached(TIER, url, asked, "CONDSTORE_URL"),))
    told = read(Logic.read, asked.body)
    if told is None:
        return Replica(url, (_stranger(url, asked),))
    findings = (*_standing(url, told, asked.seconds), *_on_the_way(url, asked))
    return Replica(url, findings, told.ledger, told.lsn, told.authentication)


def together(replicas: tuple[Replica, ...]) -> Iterator[Finding]:
    """Say whether several URLs are replicas of one tier."""
    ledgers = {replica.ledger for replica in replicas if replica.ledger}
    if len(replicas) < 2 or not ledgers:
        return
    if len(ledgers) > 1:
        whose = "; ".join(f"{one.url} has {one.ledger}" for one in replicas if one.ledger)
        yield bad(
            "replicas",
            f"they follow different ledgers: {whose}",
            "CONDSTORE_URL may list replicas of one logic tier only: remove the others",
        )
        return
    there = [replica.lsn for replica in replicas if replica.ledger]
    yield good("replicas", f"{len(there)} of {len(replicas)} answer, all of one ledger")


def unreached(what: str, url: str, failed: Unreached, variable: str) -> Finding:
    """Say which step towards a URL failed, and what to do about it."""
    start = START.format(variable=variable)
    if failed.proxy:
        return bad(
            what,
            f"{url} does not answer through the proxy {public(failed.proxy)} ({failed.why})",
            _around(url) if _is_here(url) else "ask whose proxy it is, or add the host to NO_PROXY",
        )
    do = {
        "name": f"check the host's name in {variable}, and this machine's DNS",
        "connection": start,
        "answer": "something listens there but does not speak HTTP, or hangs: look at its log"
        + (", or try https://" if url.startswith("http:") else ""),
        "trust": "name the PEM file of its CA in CONDSTORE_CA, or the host as its certificate does",
    }
    said = {
        "name": f"nobody knows the host of {url}",
        "connection": f"no server answers at {url}",
        "answer": f"what listens at {url} gives no answer",
        "trust": f"the certificate of {url} is not to be trusted",
    }
    return bad(what, f"{said[failed.step]} ({failed.why})", do[failed.step])


def _stranger(url: str, asked: Reached) -> Finding:
    if read(Databuffer.read, asked.body):
        return bad(
            TIER,
            f"{url} is the databuffer, not the logic tier",
            "CONDSTORE_URL names the logic tier (port 5000), not the databuffer (8080)",
        )
    if asked.proxy:
        said = f"for {url} the proxy {public(asked.proxy)} answered {asked.status}, no condstore"
        return bad(TIER, said, _around(url))
    by = f" ({asked.server})" if asked.server else ""
    return bad(
        TIER,
        f"at {url} another service{by} answers ({asked.status} to /readyz)",
        START.format(variable="CONDSTORE_URL"),
    )


def _standing(url: str, told: Logic, seconds: float) -> Iterator[Finding]:
    """Say how the replica is: ready, writing, caught up."""
    if not told.ready:
        why = told.detail or told.halted or f"its view is at LSN {told.lsn} of {told.head}"
        yield bad(
            TIER,
            f"{url} is not ready: {why}",
            "wait until its view has caught up; else look at its log",
        )
        return
    yield good(TIER, f"{url} is ready, LSN {told.lsn}, {1000 * seconds:.0f} ms")
    if told.halted:
        yield bad("writes", f"refused: {told.halted}", "upgrade this replica, its log says more")
    elif not told.reachable:
        yield bad(
            "writes",
            f"refused: {url} cannot reach its databuffer; reads go on",
            "start the databuffer, or mend DB_BURL, BUFFER_TOKEN or BUFFER_CA of the logic tier: "
            "its log says which; nothing is lost meanwhile",
        )
    elif not told.writes:
        yield bad("writes", f"refused by {url}", "look at its log")
    elif told.head - told.lsn > _BEHIND:
        said = f"{url} is {told.head - told.lsn} ledger entries behind"
        yield warn(
            "writes", said, "wait; if it does not shrink, look at the replica's load and log"
        )
    else:
        yield good("writes", "taken: databuffer reachable, view up to date")


def _on_the_way(url: str, asked: Reached) -> Iterator[Finding]:
    """Say what lies between: a proxy, a slow line, another clock."""
    if asked.proxy:
        said = f"{url} is asked through {public(asked.proxy)}"
        if _is_here(url):
            yield warn("proxy", f"{said}, though it is this machine", _around(url))
        else:
            yield good("proxy", said)
    if asked.seconds > SLOW:
        said = f"{url} took {asked.seconds:.1f} s for what takes it a millisecond"
        yield warn("latency", said, "look at the network, and at the server's load")
    if asked.skew is not None and abs(asked.skew) > _SKEWED:
        way = "ahead of" if asked.skew > 0 else "behind"
        yield warn(
            "clock",
            f"this machine's is {abs(asked.skew):.0f} s {way} the one of {url}",
            "let NTP set both (`timedatectl`): times in histories and logs do not agree",
        )


def _is_here(url: str) -> bool:
    return is_loopback(urlsplit(url).hostname or "")


def _around(url: str) -> str:
    return f"export NO_PROXY={urlsplit(url).hostname},$NO_PROXY"
