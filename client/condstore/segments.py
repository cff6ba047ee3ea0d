"""Cutting a series into what the buffer takes: `{"h":[samples],"t":[t0,dt]}`, 300 samples each.

Every finite sample is in exactly one segment, in order; the last may be shorter. Samples that are
not numbers (NaN marks "not recorded" in open data) are in none: a gap stays a gap, and the segment
after it starts at its own time. Times are exact decimals: ends meet starts to the last digit.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from itertools import groupby
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from condstore.strain import Series

SAMPLES = 300

# Inexact is trapped: a time that does not fit is an error, never a rounded time.
_EXACT = Context(prec=90, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])


@dataclass(frozen=True, slots=True)
class Segment:
    """A streamed piece: its payload type and the body to post, t0 being GPS seconds."""

    payload_type: str
    body: bytes
    samples: int

    def key(self, period: str = "") -> str:
        """Return the Idempotency-Key: the same content at the same place is the same upload.

        `period` names the buffer's present filling (see `Client.period`): the same segment may be
        stored again after the buffer was flushed.
        """
        seed = f"{period}\n{self.payload_type}\n".encode() + self.body
        return "segment-" + hashlib.sha256(seed).hexdigest()


def cut(series: Series, size: int = SAMPLES) -> Iterator[Segment]:
    """Yield the segments of `series`, each of at most `size` samples."""
    for first in range(0, len(series.samples), size):
        block = series.samples[first : first + size].tolist()
        for offset, run in _finite_runs(block):
            yield Segment(
                payload_type=series.payload_type,
                body=encode(run, time_of(series, first + offset), series.dt),
                samples=len(run),
            )


def count(series: Series, size: int = SAMPLES) -> int:
    """Return how many segments `cut` will yield when nothing is missing."""
    return -(-len(series.samples) // size)


def time_of(series: Series, index: int) -> Decimal:
    """Return the exact GPS time of one sample."""
    return _EXACT.add(series.t0, _EXACT.multiply(Decimal(index), series.dt))


def encode(samples: Sequence[float], t0: Decimal, dt: Decimal) -> bytes:
    """Write a segment's JSON; floats in their shortest exact form, times as plain decimals.

    >>> encode([1.5, -2e-21], Decimal("968654552.5000"), Decimal("6.103515625E-5"))
    b'{"h":[1.5,-2e-21],"t":[968654552.5,0.00006103515625]}'
    """
    times = [orjson.Fragment(plain(t0)), orjson.Fragment(plain(dt))]
    return orjson.dumps({"h": list(samples), "t": times})


def plain(number: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _finite_runs(block: list[float]) -> Iterator[tuple[int, list[float]]]:
    """Yield (offset, samples) of each stretch without gaps."""
    if all(map(math.isfinite, block)):
        yield 0, block
        return
    for finite, run in groupby(range(len(block)), key=lambda index: math.isfinite(block[index])):
        places = list(run)
        if finite:
            yield places[0], block[places[0] : places[-1] + 1]
