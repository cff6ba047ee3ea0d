"""Cutting a series: no sample twice, none lost, every time exact."""

import json
import math
from array import array
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from condstore.segments import Segment, count, cut, encode
from condstore.strain import Series

RATE = Decimal(1) / 16384


def series(samples, t0="968654552", dt=RATE):
    """Return a series of these samples."""
    return Series("L1:STRAIN", Decimal(t0), dt, array("d", samples))


def decoded(segment):
    """Return samples, t0 and dt of a segment, times exact."""
    body = json.loads(segment.body, parse_float=Decimal, parse_int=Decimal)
    return [float(sample) for sample in body["h"]], *body["t"]


@pytest.mark.parametrize(
    ("samples", "lengths"),
    [(1, [1]), (299, [299]), (300, [300]), (301, [300, 1]), (900, [300] * 3), (16384, None)],
)
def test_lengths(samples, lengths):
    """Segments have 300 samples, the last what is left."""
    cuts = [segment.samples for segment in cut(series(range(samples)))]
    assert cuts == (lengths or [300] * 54 + [184])
    assert count(series(range(samples))) == len(cuts)


def test_no_sample_is_repeated_or_lost():
    """Put together, the segments are the series (the original's third repeated its second)."""
    whole = series([index * 1e-21 for index in range(1234)])
    again = [sample for segment in cut(whole) for sample in decoded(segment)[0]]
    assert again == whole.samples.tolist()


def test_each_segment_starts_where_the_one_before_ends():
    """An end, t0 + n*dt, is the next start to the last digit."""
    end = Decimal(968654552)
    for segment in cut(series(range(1000))):
        samples, t0, dt = decoded(segment)
        assert t0 == end
        end = t0 + len(samples) * dt
    assert end == 968654552 + 1000 * RATE


@given(
    samples=some.lists(
        some.floats(allow_nan=True, allow_infinity=True, width=64), min_size=1, max_size=50
    ),
    size=some.integers(1, 7),
    t0=some.decimals("0", "2000000000", places=9),
    rate=some.sampled_from(["0.00006103515625", "0.0001", "1", "60", "0.0003333333333333333"]),
)
def test_every_finite_sample_is_in_one_segment_at_its_own_time(samples, size, t0, rate):
    """Whatever is missing, each sample recorded comes back once, at the time it has in the file."""
    whole = series(samples, t0, Decimal(rate))
    found = {}
    for segment in cut(whole, size):
        values, begin, step = decoded(segment)
        assert 0 < len(values) <= size
        for index, value in enumerate(values):
            found[Fraction(begin) + index * Fraction(step)] = value
    assert found == {
        Fraction(t0) + index * Fraction(rate): sample
        for index, sample in enumerate(samples)
        if math.isfinite(sample)
    }


def test_times_are_plain_decimal_text():
    """No exponent, no binary rounding: the server reads the digits."""
    body = encode([0.0], Decimal("968654552") + 300 * RATE, RATE)
    assert body == b'{"h":[0.0],"t":[968654552.018310546875,0.00006103515625]}'


def test_samples_survive_to_the_last_bit():
    """A double is written so that it reads back as the same double."""
    values = [1.26329846e-17, -5e-324, 1.7976931348623157e308, 0.1]
    assert [value.hex() for value in decoded(next(cut(series(values))))[0]] == [
        value.hex() for value in values
    ]


def test_the_key_says_same_content_same_place():
    """The same upload has the same key; another channel, place or filling of the buffer has not."""
    one, again = Segment("A", b"{}", 1), Segment("A", b"{}", 1)
    assert one.key() == again.key()
    keys = {one.key(), Segment("B", b"{}", 1).key(), Segment("A", b"{ }", 1).key(), one.key("p")}
    assert len(keys) == 4
    assert all(len(key) <= 100 and key.isascii() for key in keys)
