"""How much a JSON body may hold, told from its bytes."""

import json

import pytest

from datastore_logic.errors import TooLarge
from datastore_logic.web.bounds import DEPTH, SMALL, Bounds, is_shallow, of_iovs, refuse_beyond

IOV = {
    "payload_type": "Beam", "start": [1, 2], "end": [3, 4], "name": "a, [b], {c}", "digest": None,
    "checksum": "x", "size": 1, "revision": 2,
}  # fmt: skip


def test_as_many_iovs_as_allowed_pass():
    """With every field they may have, in either contract's shape."""
    for body in ({"iovs": [IOV] * 250}, [IOV] * 250):
        refuse_beyond(of_iovs(250), json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" + b"{}," * 1000 + b"{}]", r"at most 250 payload IOVs in one request \(MAX_IOVS\)"),
        (b"[" + b"[]," * 60_000 + b"[]]", "more than 106000 values"),
        (b"[" + b"1," * 120_000 + b"1]", "more than 106000 values"),
    ],
    ids=["objects", "arrays", "numbers"],
)
def test_more_than_that_is_refused_by_name(body, words):
    """Before anything is made of it."""
    with pytest.raises(TooLarge, match=words):
        refuse_beyond(of_iovs(250), body)


def test_other_bodies_hold_less():
    """None of them needs many values."""
    refuse_beyond(SMALL, json.dumps({"digests": ["sha256:0"] * 10_000}).encode())
    with pytest.raises(TooLarge, match="more than 3 values"):
        refuse_beyond(Bounds(3), b"[[],[]]")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_depth_is_bounded(opening):
    """Whatever it is made of."""
    levels = opening.count(b"[") + opening.count(b"{")
    closing = b"".join({91: b"]", 123: b"}"}[byte] for byte in reversed(opening) if byte in b"[{")
    for times in range(1, 40):
        sent = opening * times + b"1" + closing * times
        assert is_shallow(sent) is (levels * times <= DEPTH)


@pytest.mark.parametrize(
    "text",
    [
        '"' + "[" * 100 + '"',
        '"\\"[[[[[[[[[[[[[[[[[["',
        '["\\\\", "]"]',
        '"\u20ac\\u005b"',
        " [ ] \n",
    ],
)
def test_brackets_in_strings_are_text(text):
    """Quotes that are escaped do not end a string."""
    assert is_shallow(text.encode())
