"""Reading a streamed segment, `{"h":[…],"t":…}`: what it covers, exactly, or why it is malformed.

`t` is `[t0, dt]`, or as many ascending sample times as there are samples. The covered interval is
computed from the decimal text, never through a float, and rounded half-even to nanoseconds: a GPS
time in nanoseconds has more digits than a float holds. This module does no I/O.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import Any

import orjson

from databuffer.errors import Malformed
from databuffer.shape import Shape

_NS = 1_000_000_000
_LAST_SECOND = 2**63 - 1
_LONGEST_SAMPLE_NS = 2**63 - 1  # what the ledger's JSON holds exactly, and any reader of it
_LONGEST_NUMBER = 100
_SMALLEST_EXPONENT, _LARGEST_EXPONENT = -500, 20
_SHAPE = Shape(values=1 << 23, containers=100)
_PLAIN_TIMES = re.compile(rb'"t"\s*:\s*\[([^\]"\[{]*)\]')


@dataclass(frozen=True, slots=True)
class Segment:
    """A well-formed segment: its samples and the half-open interval they cover, in GPS ns."""

    samples: int
    start_ns: int
    end_ns: int
    sample_ns: int

    @property
    def start(self) -> list[int]:
        """The start as seconds and nanoseconds."""
        return list(divmod(self.start_ns, _NS))

    @property
    def end(self) -> list[int]:
        """The end as seconds and nanoseconds."""
        return list(divmod(self.end_ns, _NS))


def parse_segment(body: bytes) -> Segment:
    """Read the body of `/sendF`; raise `Malformed` naming the field that is wrong, `TooLarge`."""
    _SHAPE.check(body)
    raw = _object(body)
    samples = _samples(raw)
    times = _times(raw, body)
    if len(times) == 2:
        start, step = times
        end = start + samples * step
    elif len(times) == samples:
        start, step, end = _sampled(times)
    else:
        raise Malformed("t is [t0, dt], or one time for each sample", field="t")
    return _covering(samples, start, end, step)


def _object(body: bytes) -> dict[str, Any]:
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise Malformed('a segment is an object {"h":[…],"t":[…]}')
    return raw


def _numbers(raw: dict[str, Any], field: str) -> list[int | float]:
    if field not in raw:
        raise Malformed(f"{field} is missing", field=field)
    values = raw[field]
    if not isinstance(values, list):
        raise Malformed(f"{field} is an array of numbers", field=field)
    if not set(map(type, values)) <= {int, float}:
        wrong = next(at for at, value in enumerate(values) if type(value) not in {int, float})
        raise Malformed(f"{field}[{wrong}] is not a number", field=f"{field}[{wrong}]")
    return values


def _samples(raw: dict[str, Any]) -> int:
    samples = len(_numbers(raw, "h"))
    if not samples:
        raise Malformed("h is empty", field="h")
    return samples


def _times(raw: dict[str, Any], body: bytes) -> list[Fraction]:
    count = len(_numbers(raw, "t"))
    return [_exact(text, f"t[{at}]") for at, text in enumerate(_texts(body, count))]


def _texts(body: bytes, count: int) -> list[str]:
    """Find the numbers of `t` as they were written."""
    if body.count(b'"t"') == 1 and b"\\" not in body and (plain := _PLAIN_TIMES.search(body)):
        texts = [text.strip() for text in plain[1].decode().split(",")] if count else []
        if len(texts) == count:
            return texts
    try:
        return list(json.loads(body, parse_float=str, parse_int=str)["t"])
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error


def _exact(text: str, field: str) -> Fraction:
    if len(text) > _LONGEST_NUMBER:
        raise Malformed(f"{field} has more than {_LONGEST_NUMBER} characters", field=field)
    try:
        number = Decimal(text)
    except InvalidOperation as error:  # an exponent that no decimal has
        raise Malformed(f"{field} is out of range", field=field) from error
    if number and not _SMALLEST_EXPONENT < number.adjusted() < _LARGEST_EXPONENT:
        raise Malformed(f"{field} is out of range", field=field)
    return Fraction(number) if number else Fraction(0)


def _sampled(times: list[Fraction]) -> tuple[Fraction, Fraction, Fraction]:
    """Take sample times: the last sample lasts as long as the others do on average."""
    if len(times) < 2:
        raise Malformed("one time does not say how long a sample lasts", field="t")
    for at, (before, after) in enumerate(pairwise(times), 1):
        if after <= before:
            raise Malformed("times must ascend", field=f"t[{at}]")
    step = (times[-1] - times[0]) / (len(times) - 1)
    return times[0], step, times[-1] + step


def _covering(samples: int, start: Fraction, end: Fraction, step: Fraction) -> Segment:
    if start < 0:
        raise Malformed("t[0] is before the GPS epoch", field="t[0]")
    if step <= 0:
        raise Malformed("dt must be above 0", field="t[1]")
    start_ns, end_ns, sample_ns = round(start * _NS), round(end * _NS), max(1, round(step * _NS))
    if end_ns <= start_ns:
        raise Malformed("the segment covers no nanosecond", field="t")
    if end_ns > _LAST_SECOND * _NS:
        raise Malformed("the segment ends after the last second that can be written", field="t")
    if sample_ns > _LONGEST_SAMPLE_NS:
        raise Malformed("a sample lasts longer than can be written", field="t[1]")
    return Segment(samples, start_ns, end_ns, sample_ns)
