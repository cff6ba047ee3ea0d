"""What a librarian does to a whole tag: clone it, freeze it, write into the clone, compare."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.conditions.caller import Caller
from benchmarks.conditions.shape import STEP
from benchmarks.conditions.single import insert_v1
from benchmarks.conditions.standing import CDB, V1
from benchmarks.load import Refused
from benchmarks.report import Aim, Table, milliseconds

if TYPE_CHECKING:
    from benchmarks.bench import Bench
    from benchmarks.conditions.shape import Shape
    from benchmarks.conditions.standing import Standing

CLONE = "clone (cloneGlobalTag)"
FROZEN, SINGLE = "bench-frozen", "bench-single"


@dataclass(frozen=True, slots=True)
class Cloned:
    """How long each act took, in seconds, and the fingerprint of the clone that is frozen."""

    shape: Shape
    took: dict[str, float]
    fingerprint: str

    @property
    def pinned(self) -> str:
        """The name under which the frozen clone never changes."""
        return f"{FROZEN}@{self.fingerprint}"


def clone(bench: Bench, at: Standing, tag: str) -> Cloned:
    """Clone the tag, freeze a clone, write into others, and compare one with the tag."""
    copies = [f"bench-clone-{serial}" for serial in range(bench.rounds)]
    with Caller(at.tier) as caller:
        took = {CLONE: median(_clone(caller, tag, name) for name in (FROZEN, SINGLE, *copies))}
        took["freeze a clone, nothing fingerprinted before"] = _freeze(caller, FROZEN)
        _clone(caller, tag, "bench-again")
        took["freeze another clone of the same"] = _freeze(caller, "bench-again")
        took["first write into a clone, which copies a list"] = median(
            _write(caller, name, at.shape.iovs) for name in copies
        )
        took["second write into it"] = median(
            _write(caller, name, at.shape.iovs + 1) for name in copies
        )
        took["diff of the tag and the clone with two changes"] = median(
            _diff(caller, tag, name) for name in copies
        )
        fingerprint = str(caller.get(f"{V1}/{FROZEN}")["fingerprint"])
    return Cloned(at.shape, took, fingerprint)


def _clone(caller: Caller, tag: str, name: str) -> float:
    return caller.timed("POST", f"{CDB}/cloneGlobalTag/{tag}/{name}")[0]


def _freeze(caller: Caller, tag: str) -> float:
    return caller.timed("PUT", f"{CDB}/gt_change_status/{tag}/frozen")[0]


def _write(caller: Caller, tag: str, step: int) -> float:
    begin = time.perf_counter()
    insert_v1(caller, tag, step * STEP)
    return time.perf_counter() - begin


def _diff(caller: Caller, tag: str, name: str) -> float:
    took, found = caller.timed("GET", f"{V1}/{tag}/diff?to={name}")
    if not 1 <= len(found["changes"]) <= 4:
        raise Refused(f"the diff of {tag} and {name} has {len(found['changes'])} changes")
    return took


def table(found: list[Cloned]) -> Table:
    """Return how long each act took, a column for each shape."""
    acts = list(found[0].took)
    return Table(
        "Whole tags: milliseconds",
        ("", *(one.shape.label for one in found)),
        tuple((act, *(milliseconds(one.took[act]) for one in found)) for act in acts),
    )


def aims(found: list[Cloned]) -> list[Aim]:
    """Return what was aimed at, for the largest."""
    largest = max(found, key=lambda one: one.shape.total)
    return [Aim(f"clone of {largest.shape.label}", largest.took[CLONE], 1, "s", at_most=True)]
