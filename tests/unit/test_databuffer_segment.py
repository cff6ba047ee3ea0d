"""Reading a streamed segment: exact intervals, and every way it can be malformed."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databuffer.buffer.segment import parse_segment
from databuffer.errors import Malformed


def segment(h: str, t: str) -> bytes:
    """Write a body from the texts of its two arrays."""
    return f'{{"h":{h},"t":{t}}}'.encode()


@pytest.mark.parametrize(
    ("body", "start", "end", "sample_ns"),
    [
        (segment("[1,2,3]", "[10, 0.5]"), [10, 0], [11, 500_000_000], 500_000_000),
        (segment("[1,2]", "[10,0.5]"), [10, 0], [11, 0], 500_000_000),
        (segment("[1,2,3]", "[1,1.5,2]"), [1, 0], [2, 500_000_000], 500_000_000),
        (segment("[1]", "[968654552.000000001,1e-9]"), [968654552, 1], [968654552, 2], 1),
        (segment("[1]", "[9223372036854775806,1]"), [2**63 - 2, 0], [2**63 - 1, 0], 10**9),
        (b'{"x":"t","h":[1],"t":[1,1]}', [1, 0], [2, 0], 10**9),
        (b'{"x":{"t":[7,7]},"h":[1],"\\u0074":[1,1]}', [1, 0], [2, 0], 10**9),
        (segment("[1,2,3,4]", "[-0.0,2.5e-10]"), [0, 0], [0, 1], 1),
    ],
)
def test_the_interval_is_exact_from_the_decimal_text(body, start, end, sample_ns):
    """Both forms of t give the half-open interval without passing through a float."""
    read = parse_segment(body)
    assert (read.start, read.end, read.sample_ns) == (start, end, sample_ns)


def test_halves_of_a_nanosecond_round_to_even():
    """0.5 ns rounds down to 0 and 1.5 ns up to 2."""
    assert parse_segment(segment("[1]", "[0.0000000005,1]")).start == [0, 0]
    assert parse_segment(segment("[1]", "[0.0000000015,1]")).start == [0, 2]


@given(st.integers(0, 2 * 10**18), st.integers(1, 10**9), st.integers(1, 500), st.integers(0, 6))
def test_any_segment_covers_its_samples(start_ns, step_ns, samples, more_digits):
    """The end is start plus the number of samples times dt, whatever the digits."""
    seconds, ns = divmod(start_ns, 10**9)
    t = f"[{seconds}.{ns:09d}{'0' * more_digits},{step_ns}e-9]"
    read = parse_segment(segment(str([0.5] * samples), t))
    assert read.start_ns == start_ns
    assert read.end_ns == start_ns + samples * step_ns
    assert read.sample_ns == step_ns


@given(st.lists(st.integers(0, 9 * 10**9), min_size=3, max_size=40, unique=True))
def test_sample_times_extend_by_the_mean_step(times):
    """The last of the given times is followed by one mean step."""
    times.sort()
    read = parse_segment(segment(str([1] * len(times)), str(times)))
    mean = Fraction(times[-1] - times[0], len(times) - 1)
    assert read.end_ns == round((times[-1] + mean) * 10**9)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"null", None),
        (b'{"h":[1],"t":[1,1]}x', None),
        (b'\xff{"h":[1],"t":[1,1]}', None),
        (b'{"t":[1,1]}', "h"),
        (b'{"h":[1]}', "t"),
        (segment("null", "[1,1]"), "h"),
        (segment('"12"', "[1,1]"), "h"),
        (segment("{}", "[1,1]"), "h"),
        (segment("[]", "[1,1]"), "h"),
        (segment("[1]", "null"), "t"),
        (segment("[1]", "1"), "t"),
        (segment("[1]", "[]"), "t"),
        (segment("[1]", "[1]"), "t"),
        (segment("[1,2]", "[1]"), "t"),
        (segment("[1,2]", "[1,2,3]"), "t"),
        (segment("[NaN]", "[1,1]"), None),
        (segment("[Infinity]", "[1,1]"), None),
        (segment("[-Infinity]", "[1,1]"), None),
        (segment("[1e999]", "[1,1]"), None),
        (segment(f"[1{'0' * 400}]", "[1,1]"), None),
        (segment("[1,true]", "[1,1]"), "h[1]"),
        (segment("[1,2,null]", "[1,1]"), "h[2]"),
        (segment('["1"]', "[1,1]"), "h[0]"),
        (segment("[[1]]", "[1,1]"), "h[0]"),
        (segment("[1]", "[true,1]"), "t[0]"),
        (segment("[1]", '[1,"1"]'), "t[1]"),
        (segment("[1]", "[1,NaN]"), None),
        (segment("[1]", "[1,0]"), "t[1]"),
        (segment("[1]", "[1,-1]"), "t[1]"),
        (segment("[1]", "[-1,1]"), "t[0]"),
        (segment("[1,2,3]", "[1,1,2]"), "t[1]"),
        (segment("[1,2,3]", "[1,2,1.5]"), "t[2]"),
        (segment("[1,2,3]", "[-1,2,3]"), "t[0]"),
        (segment("[1]", "[1,1e-10]"), "t"),
        (segment("[1]", "[1,1e-600]"), "t[1]"),
        (segment("[1]", "[1e-999999999,1]"), "t[0]"),
        (segment("[1]", "[9223372036854775807,1]"), "t"),
        (segment("[1]", "[1,9223372037]"), "t[1]"),
        (segment("[1]", "[1,1e15]"), "t[1]"),
        (segment("[1,2,3]", "[0,1e10,2e10]"), "t[1]"),
        (segment("[1]", "[1e30,1]"), "t[0]"),
        (segment("[1]", f"[1.{'0' * 100}1,1]"), "t[0]"),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b',"h":[1],"t":[1,1]}', None),
        (b'{"a":' + b"[" * 1000 + b"]" * 1000 + b',"b":"\\n","h":[],"t":[1,1]}', "h"),
    ],
)
def test_a_malformed_segment_names_its_field(body, field):
    """Whatever is wrong is `Malformed`, with the place where there is one."""
    with pytest.raises(Malformed) as refused:
        parse_segment(body)
    assert refused.value.field == field


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(body):
    """Arbitrary bytes are a segment or `Malformed`, nothing else."""
    try:
        parse_segment(body)
    except Malformed:
        return
