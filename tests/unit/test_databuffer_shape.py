"""What a JSON text may hold is told from its bytes."""

import pytest

from databuffer.errors import Malformed, TooLarge
from databuffer.shape import Shape
from databuffer.web.ledger import parse_entry

SHAPE = Shape(values=50_000, containers=1000)


@pytest.mark.parametrize(
    "text",
    [
        b"[" + b"1," * 50_001 + b"1]",
        b"[" + b"[]," * 30_000 + b"1]",
        b'{"a":' * 30_000,
        b"{" + b'"a":1,' * 30_000 + b"}",
        b"[" * 70_000,
        b"[" + b"0 , " * 50_001 + b"0]",
    ],
)
def test_what_would_become_too_much_is_refused(text):
    """Values, members, arrays and objects are counted, nested or side by side."""
    with pytest.raises(TooLarge):
        SHAPE.check(text)


@pytest.mark.parametrize(
    "text", [b"[" + b"1," * 49_000 + b"1]", b'"' + b"x" * 1_000_000 + b'"', b"[" * 60_000, b""]
)
def test_what_stays_small_is_let_through(text):
    """A long text with few values in it, and a short one whatever it holds."""
    SHAPE.check(text)


ENTRY = b'{"type":"t.x","actor":"a","keys":[],"data":{"x":%b}}'


@pytest.mark.parametrize(
    "number", [b"18446744073709551616", b"-9223372036854775809", b"1" * 30, b"-" + b"9" * 19]
)
@pytest.mark.parametrize("form", [b"%b", b"[1,%b]", b"[ %b]", b'{"k":%b}', b'{"k" :%b}', b"[\n%b]"])
def test_an_integer_that_would_lose_digits_is_found_wherever_it_stands(form, number):
    """The fast parser would make a float of it, and nobody would know."""
    text = ENTRY % (form % number)
    if -(2**63) <= int(number) < 2**64:
        parse_entry(text)
    else:
        with pytest.raises(Malformed):
            parse_entry(text)


@pytest.mark.parametrize("name", [b"sha256:" + b"1" * 64, b"a:" + b"9" * 30, b'\\":' + b"9" * 30])
def test_long_digits_in_names_are_no_numbers(name):
    """Digests of digits alone, and names that end like keys."""
    assert name in parse_entry(ENTRY % (b'["' + name + b'"]')).data
