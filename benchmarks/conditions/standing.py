"""One scenario's servers and the global tag that they serve, and how its answers are checked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from benchmarks.conditions.caller import Caller
from benchmarks.conditions.shape import STEP, type_name
from benchmarks.load import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.conditions.shape import Held, Moment, Shape
    from benchmarks.servers import Server

TAG = "bench"
OPEN = 2**63 - 1
CDB = "/api/cdb_rest"
V1 = "/api/v1/global-tags"
_PATIENCE = 120.0
_CHECKED = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Both tiers, running in a folder, with one shape of global tag."""

    shape: Shape
    folder: Path
    buffer: Server
    tier: Server

    @property
    def servers(self) -> tuple[Server, Server]:
        """Both."""
        return self.buffer, self.tier


def draw_moment(draw: Random, shape: Shape) -> Moment:
    """Return a moment anywhere from where every type holds something to the last start."""
    return draw.randrange(STEP, shape.iovs * STEP), draw.randrange(10**6)


def legacy_query(tag: str, moment: Moment) -> str:
    """Return the path by which nopayloaddb's clients resolve a tag."""
    return f"{CDB}/payloadiovs/?gtName={tag}&majorIOV={moment[0]}&minorIOV={moment[1]}"


def v1_query(tag: str, moment: Moment) -> str:
    """Return the path by which our own clients resolve a tag."""
    return f"{V1}/{tag}/payloads?major={moment[0]}&minor={moment[1]}"


def make_types(caller: Caller, shape: Shape) -> None:
    """Make the payload types, which all tags share."""
    for kind in range(shape.types):
        caller.send("POST", f"{CDB}/pt", {"name": type_name(kind)})


def make_tag(caller: Caller, tag: str) -> None:
    """Make an unlocked tag."""
    caller.send("POST", f"{CDB}/gt", {"name": tag, "status": "unlocked", "author": "bench"})


def make_lists(caller: Caller, shape: Shape, tag: str) -> tuple[str, ...]:
    """Give a tag an empty list of each type, as the field's scripts do; return their names."""
    return tuple(_list(caller, tag, type_name(kind)) for kind in range(shape.types))


def _list(caller: Caller, tag: str, kind: str) -> str:
    made = str(caller.send("POST", f"{CDB}/pl", {"payload_type": kind})["name"])
    caller.send("PUT", f"{CDB}/pl_attach", {"global_tag": tag, "payload_list": made})
    return made


def seen(standing: Standing) -> int:
    """Wait until the logic tier shows all that the databuffer has; return that LSN.

    Raises:
        Refused: if it does not within two minutes.
    """
    with Caller(standing.buffer) as buffer, Caller(standing.tier) as tier:
        wanted = int(buffer.get("/ledger/head")["lsn"])
        deadline = time.monotonic() + _PATIENCE
        while int(tier.get("/readyz")["applied_lsn"]) < wanted:
            if time.monotonic() > deadline:
                raise Refused(f"the view did not reach LSN {wanted}")
            time.sleep(0.01)
    return wanted


def check(standing: Standing, tag: str) -> None:
    """Ask for some moments both ways and compare every row: a wrong answer is no figure.

    Raises:
        Refused: naming the first moment answered otherwise.
    """
    shape, draw = standing.shape, Random(7)  # noqa: S311 - moments, not secrets
    asked = [shape.first, shape.last, *(draw_moment(draw, shape) for _ in range(_CHECKED))]
    with Caller(standing.tier) as caller:
        for moment in asked:
            wanted = shape.expected(moment)
            if _legacy(caller.get(legacy_query(tag, moment))) != wanted:
                raise Refused(f"{legacy_query(tag, moment)} is answered wrongly")
            if _v1(caller.get(v1_query(tag, moment))["payloads"]) != wanted:
                raise Refused(f"{v1_query(tag, moment)} is answered wrongly")


def _legacy(rows: list[list[Any]]) -> list[Held]:
    return [
        (row[0], row[1], row[2], row[3], (row[4], row[5]), _end(row[6], row[7])) for row in rows
    ]


def _end(major: int, minor: int) -> Moment | None:
    return None if major == OPEN else (major, minor)


def _v1(rows: list[dict[str, Any]]) -> list[Held]:
    return [
        (
            *(row["payload_type"], row["name"], row["checksum"], row["size"]),
            *((row["start"][0], row["start"][1]), row["end"] and (row["end"][0], row["end"][1])),
        )
        for row in rows
    ]
