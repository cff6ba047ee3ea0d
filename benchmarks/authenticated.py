"""What it costs to know who asks: the same questions, answered to anybody and to who has a token.

Two replicas with the same view, never under load at the same time: one answers everybody
(AUTH=off), of the other every read needs a token of RS256 that an issuer signed. Both count the
requests of each caller. Each client has a token of its own: that of a reader of every tag, or of
some tags, to whom all others are hidden.
"""

from __future__ import annotations

import functools
import json
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from benchmarks import resolve
from benchmarks.bench import Sample, typical
from benchmarks.ledger import idle
from benchmarks.load import Job, Request
from benchmarks.report import Aim, Table, milliseconds, number, percent
from benchmarks.servers import databuffer, logic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.load import Script
    from benchmarks.servers import Server

    Rounds = dict[tuple[str, str, int], list[Sample]]
    """What was measured in each round, by who asks, what, and how many clients."""

CLIENTS: Final = (1, 8, 32)
WANTED: Final = 0.9
OFTEN: Final = 5
"""How many times more rounds there are than elsewhere, each as much shorter: what is compared with
each other differs by less than what a machine does from one second to the next."""

WARM: Final = 3.0
"""Seconds that each question is asked before anything is timed."""

_ISSUER, _AUDIENCE, _KEY = "https://issuer.example", "condstore", "bench"
_FLOOR, _OFF, _ALL, _SOME = "floor: GET /livez", "anybody", "reader of all", "reader of some"
_OPEN = {"AUTH": "off", "RATE_READS": "1000000/second"}  # counted as ever, and never over
_WHAT = {"all types": "", "one type": "&type=Type7"}


def run(bench: Bench) -> list[Table]:
    """Resolve with tokens checked and without, in turn, beside /livez of the same workers."""
    folder = bench.subfolder("authenticated")
    often = replace(bench, rounds=OFTEN * bench.rounds, seconds=bench.seconds / OFTEN)
    key = rsa.generate_private_key(65537, 2048)
    tokens = {who: _tokens(key, pattern) for who, pattern in {_ALL: ".*", _SOME: "bench.*"}.items()}
    with (
        databuffer(folder) as buffer,
        logic(_made(folder / "off"), buffer, environ=_OPEN) as off,
        logic(_made(folder / "on"), buffer, environ=_closed(folder, key)) as on,
    ):
        lsn = resolve.fill(buffer)
        resolve.wait_for(off, lsn)
        resolve.wait_for(on, lsn, _bearer(tokens[_ALL][0]))
        scripts: dict[tuple[str, str], tuple[Server, Script]] = {
            (_FLOOR, ""): (off, functools.partial(idle, "/livez"))
        }
        for what, only in _WHAT.items():
            scripts[_OFF, what] = off, functools.partial(resolve.moments, only)
            for who, told in tokens.items():
                scripts[who, what] = on, functools.partial(_asked, only, told)
        cases: dict[tuple[str, str, int], Callable[[], Sample]] = {
            (who, what, clients): functools.partial(
                often.measure, Job(tier.port, script, clients, often.seconds), tier
            )
            for clients in CLIENTS
            for (who, what), (tier, script) in scripts.items()
        }
        for tier, script in scripts.values():  # what is made of a busy tag beside the view is made
            bench.measure(Job(tier.port, script, max(CLIENTS), WARM), tier)
        rounds = often.interleave("authenticated", cases)
        bench.note_memory("authenticated", buffer, off, on)
    return [_table(rounds)]


def _asked(only_type: str, tokens: tuple[str, ...], client: int) -> Iterator[Request]:
    """Ask for random moments, each client with its own token."""
    shown = f"Authorization: {_bearer(tokens[client])}\r\n\r\n".encode()
    for (request,) in resolve.moments(only_type, client):
        yield (bytes(request)[: -len(b"\r\n")] + shown,)


def _closed(folder: Path, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """Return the settings of a tier where nobody reads without a token of this key."""
    public = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    (folder / "jwks.json").write_text(json.dumps({"keys": [{**public, "kid": _KEY}]}))
    return {
        "JWT_JWKS": str(folder / "jwks.json"),
        "JWT_ISSUER": _ISSUER,
        "JWT_AUDIENCE": _AUDIENCE,
        "READS": "authenticated",
        "RATE_READS": _OPEN["RATE_READS"],
    }


def _tokens(key: rsa.RSAPrivateKey, pattern: str) -> tuple[str, ...]:
    """Return a token for each client, that of a reader of the tags which the pattern covers."""
    claims = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "exp": int(time.time()) + 86_400,
        "condstore:read": pattern,
        "b2cdb:createpayload": "mine_.*",
        "b2cdb:createiov": "mine_.*",
    }
    told = ({**claims, "sub": f"job-{client}"} for client in range(max(CLIENTS)))
    return tuple(jwt.encode(each, key, "RS256", {"kid": _KEY}) for each in told)


def _bearer(token: str) -> str:
    return f"Bearer {token}"


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _table(rounds: Rounds) -> Table:
    found = {key: typical(samples) for key, samples in rounds.items()}
    rows = tuple(
        (
            f"{what}, {who}" if what else who,
            str(clients),
            number(sample.rate),
            percent(sample.rate, found[_FLOOR, "", clients].rate),
            percent(_beside(rounds, who, what, (clients,)), 1) if what else "",
            milliseconds(sample.p50),
            milliseconds(sample.p99),
            number(1e6 * sum(sample.servers) / sample.rate),
            *sample.cpu(),
        )
        for (who, what, clients), sample in found.items()
    )
    return Table(
        "Resolving with tokens checked (RS256, reads closed) and without, in turn, 2 workers",
        ("", "clients", "per second", "of the floor", "of anybody's", "p50 ms", "p99 ms",
         "CPU a request, µs", "CPU logic", "CPU load"),
        rows,
        tuple(
            Aim(f"{what}, {who} / anybody", _beside(rounds, who, what, CLIENTS), WANTED).line()
            for what in _WHAT
            for who in (_ALL, _SOME)
        ),
    )  # fmt: skip


def _beside(rounds: Rounds, who: str, what: str, clients: Iterable[int]) -> float:
    """Return the middle of who got how much of what anybody got, in each round by itself.

    The two are asked within a few seconds of each other; between rounds the machine may change.
    """
    return median(
        sample.rate / anybody.rate
        for n in clients
        for sample, anybody in zip(rounds[who, what, n], rounds[_OFF, what, n], strict=True)
    )
