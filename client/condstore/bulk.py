"""Many payloads in one answer of the databuffer, as they are on its disk: `POST /blobs/read`.

It answers with records `cblb`, SHA-256, length (8 bytes, big-endian), content, in the order asked.
A length may stand for something else: `MISSING`, or `LARGE` for a payload to be asked for alone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import orjson

from condstore.errors import UnexpectedAnswer
from condstore.producer.exchange import Asked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from condstore.producer.exchange import Exchange

BATCH: Final = 400
"""How many to ask for at a time."""
AT_ONCE: Final = 4
"""How many may ask: the databuffer has a place for eight."""
LONGEST: Final = 4 << 20
MISSING: Final = 2**64 - 1
LARGE: Final = 2**64 - 2

_TOGETHER: Final = 1 << 20
_HEAD: Final = struct.Struct(">4s32sQ")
_MAGIC: Final = b"cblb"
_JSON: Final = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_FOUND_OR_OLDER: Final = frozenset({200, 404, 405})

Record = tuple[str, int, bytes]
"""Digest (64 digits), length or what stands for one, content."""


class TooOld(Exception):
    """The databuffer does not know the route: each payload is to be asked for alone."""


async def read(exchange: Exchange, names: Sequence[str]) -> AsyncGenerator[list[Record], None]:
    """Yield the records of these digests (64 digits each) in their order, about 1 MiB at a time.

    Nothing is hashed. Raises `TooOld`, and what asking raises.
    """
    asked = orjson.dumps({"digests": [f"sha256:{name}" for name in names]})
    request = Asked("POST", "/blobs/read", asked, _JSON, _FOUND_OR_OLDER)
    buffer, at = bytearray(), 0
    async with exchange.open(request) as response:
        if response.status != 200:
            raise TooOld
        async for piece in response.content.iter_any():
            buffer += piece
            if len(buffer) >= _TOGETHER and (records := _taken(buffer, names[at:])):
                at += len(records)
                yield records
    if records := _taken(buffer, names[at:]):
        at += len(records)
        yield records
    if buffer or at < len(names):
        raise UnexpectedAnswer("the databuffer ended its answer in the middle of a payload")


def _taken(buffer: bytearray, names: Sequence[str]) -> list[Record]:
    """Take the whole records out of a buffer; they must be of these names, in this order."""
    records, taken = _records(buffer)
    del buffer[:taken]
    if [name for name, _, _ in records] != list(names[: len(records)]):
        raise UnexpectedAnswer("the databuffer answered with payloads nobody asked for")
    return records


def _records(buffer: bytearray) -> tuple[list[Record], int]:
    """Return the whole records at the start of a buffer, and how many bytes they take."""
    found: list[Record] = []
    at = 0
    while len(buffer) - at >= _HEAD.size:
        magic, digest, length = _HEAD.unpack_from(buffer, at)
        held = 0 if length >= LARGE else length
        if magic != _MAGIC or held > LONGEST:
            raise UnexpectedAnswer("the databuffer answered with something else than payloads")
        end = at + _HEAD.size + held
        if end > len(buffer):
            break
        found.append((digest.hex(), length, bytes(buffer[at + _HEAD.size : end])))
        at = end
    return found, at
