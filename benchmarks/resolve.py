"""Which payloads hold at this moment? Asked of a full tag, against a handler that does nothing."""

from __future__ import annotations

import functools
import hashlib
import json
import random
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from benchmarks.bench import Sample, typical
from benchmarks.ledger import idle
from benchmarks.load import Job, Request, get
from benchmarks.report import Table, milliseconds, number, percent
from benchmarks.servers import CannotStart, databuffer, logic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

_TAG = "bench"
_TYPES = 20
_IOVS = 2000
_FIRST, _LENGTH = 1_000_000_000, 10  # GPS seconds
_CLIENTS = (1, 8, 32)
_PATH = f"/api/v1/global-tags/{_TAG}/payloads"


def moments(only_type: str, client: int) -> Iterator[Request]:
    """Ask for moments anywhere in the tag, in no order."""
    draw = random.Random(client)  # noqa: S311 - moments, not secrets
    last = _FIRST + _IOVS * _LENGTH - 1
    while True:
        yield (get(f"{_PATH}?major={draw.randint(_FIRST, last)}&minor=0{only_type}"),)


def run(bench: Bench) -> list[Table]:
    """Resolve all types and one with 1, 8 and 32 clients, beside /livez of the same workers."""
    folder = bench.subfolder("resolve")
    with databuffer(folder) as buffer, logic(folder, buffer) as tier:
        wait_for(tier, fill(buffer))
        scripts = {
            "floor: GET /livez": functools.partial(idle, "/livez"),
            f"resolve, {_TYPES} payload types": functools.partial(moments, ""),
            "resolve, one type of them": functools.partial(moments, "&type=Type7"),
        }
        cases: dict[tuple[str, int], Callable[[], Sample]] = {
            (name, clients): functools.partial(
                bench.measure, Job(tier.port, script, clients, bench.seconds), tier
            )
            for clients in _CLIENTS
            for name, script in scripts.items()
        }
        found = {key: typical(rounds) for key, rounds in bench.interleave("resolve", cases).items()}
        bench.note_memory("resolve", buffer, tier)
    return [_table(found)]


def fill(buffer: Server) -> int:
    """Write a tag of many types and intervals into the ledger and return the last LSN."""
    tag = f"tag/{_TAG}"
    lsn = _append(buffer, "tag.created", {"tag": _TAG, "description": ""}, [tag])
    for number_of_type in range(_TYPES):
        name = f"Type{number_of_type}"
        effects: dict[str, Any] = {
            "list": None,
            "detached": [],
            "trimmed": [],
            "attached": _columns(name),
        }
        data = {"tag": _TAG, "payload_type": name, **effects}
        lsn = _append(buffer, "iovs.changed", data, [tag, f"{tag}/list/{name}"])
    return lsn


def _columns(name: str) -> dict[str, list[Any]]:
    starts = [_FIRST + serial * _LENGTH for serial in range(_IOVS)]
    digests = [f"sha256:{hashlib.sha256(f'{name}{at}'.encode()).hexdigest()}" for at in starts]
    return {
        "start": [[at, 0] for at in starts],
        "end": [[at + _LENGTH, 0] for at in starts],
        "name": [f"{name.lower()}_{at}.root" for at in starts],
        "checksum": [None] * _IOVS,
        "digest": digests,
        "size": [4096] * _IOVS,
    }


def _append(buffer: Server, kind: str, data: dict[str, Any], keys: list[str]) -> int:
    body = json.dumps({"type": kind, "actor": "bench", "data": data, "keys": keys}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{buffer.port}/ledger", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return int(json.load(answer)["lsn"])


def wait_for(tier: Server, lsn: int, authorization: str = "") -> None:
    """Wait until the replica's view holds the entry and says so.

    Raises:
        CannotStart: if it does not within a minute.
    """
    url = f"http://127.0.0.1:{tier.port}{_PATH}?major={_FIRST}&minor=0"
    headers = {"X-Min-LSN": str(lsn), "Authorization": authorization}
    request = urllib.request.Request(url, headers=headers)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                if len(json.load(answer)["payloads"]) == _TYPES:
                    return
        except urllib.error.HTTPError as error:
            error.close()
        time.sleep(0.1)
    raise CannotStart("the view did not catch up within a minute")


def _table(found: dict[tuple[str, int], Sample]) -> Table:
    rows = tuple(
        (
            name,
            str(clients),
            number(sample.rate),
            percent(sample.rate, found["floor: GET /livez", clients].rate),
            milliseconds(sample.p50),
            milliseconds(sample.p99),
            *sample.cpu(),
        )
        for (name, clients), sample in found.items()
    )
    return Table(
        f"Resolving: {_TYPES} payload types with {number(_IOVS)} intervals each, 2 workers",
        ("", "clients", "per second", "of the floor", "p50 ms", "p99 ms", "CPU logic", "CPU load"),
        rows,
    )
