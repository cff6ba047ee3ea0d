"""`/ledger`: append one entry, read entries, ask where it ends, keep old ones in less room."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from databuffer.buffer.state import OWN_KEYS, PREFIX
from databuffer.errors import Malformed
from databuffer.names import EntryType, parse_text
from databuffer.shape import Shape
from databuffer.store.protocols import NewEntry
from databuffer.web.body import BodyReader, parse_object
from databuffer.web.keys import COMPRESSIBLE, CONFIG, LEDGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from databuffer.store.protocols import Head

routes = web.RouteTableDef()

_FIELDS = frozenset({"type", "actor", "data", "keys", "expect", "idempotency_key"})
_MOST_LINES, _LONGEST_WAIT = 10_000, 60
_LONGEST_KEY = 500
_SHOWN = 60
# A quarter of a million payload IOVs and as many trimmed ones, in columns, are five million values.
_ENTRY = Shape(values=6_000_000, containers=500_000)
_SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6})?")
# Digits become 0, what a number may stand behind a comma, all else but colons and quotes x; so that
# a long number is found many times faster than by an expression. A colon in a name or a digest is
# told from one that ends a key, or else a bulk of digests would nearly always seem to have one.
_KINDS = dict.fromkeys(b"0123456789", b"0") | dict.fromkeys(b"[,- \t\r\n", b",")
_KINDS |= {byte: bytes([byte]) for byte in b':"'}
_KIND_OF_BYTE = b"".join(_KINDS.get(byte, b"x") for byte in range(256))
_LONG_NUMBERS = tuple(before + 19 * b"0" for before in (b",", b'":', b",:"))


@routes.post("/ledger")
async def post_entry(request: web.Request) -> web.Response:
    """Append one entry, unless what it expects has moved."""
    config, ledger = request.app[CONFIG], request.app[LEDGER]
    body = await BodyReader(request, config.max_entry_bytes).whole()
    appended = await ledger.append(parse_entry(body))
    return web.Response(
        body=b'{"lsn":%d}' % appended.lsn,
        status=201,
        content_type="application/json",
        headers=_position(ledger.head(), appended.lsn),
    )


@routes.get("/ledger")
async def get_entries(request: web.Request) -> web.Response:
    """Send the lines after an LSN, waiting for one if asked to."""
    ledger, query = request.app[LEDGER], request.query
    after = _whole(query, "after", 0, 2**63)
    limit = max(1, _whole(query, "limit", 1000, _MOST_LINES))
    wait = _seconds(query)
    page = await ledger.read(after, limit)
    if wait and not page.lines:
        await ledger.wait(after, wait)
        page = await ledger.read(after, limit)
    head = ledger.head()
    return web.Response(
        body=page.lines, content_type="application/x-ndjson", headers=_position(head, head.lsn)
    )


@routes.get("/ledger/head")
async def get_head(request: web.Request) -> web.Response:
    """Say where the ledger ends."""
    head = request.app[LEDGER].head()
    body = orjson.dumps({"ledger": head.ledger, "lsn": head.lsn, "hash": head.hash})
    return web.Response(
        body=body, content_type="application/json", headers=_position(head, head.lsn)
    )


@routes.post("/ledger/compress")
async def post_compress(request: web.Request) -> web.Response:
    """Compress what is sealed; answer when it is done. Whatever body is sent is ignored."""
    done = await request.app[COMPRESSIBLE].compress()
    return web.Response(body=orjson.dumps(done), content_type="application/json")


def parse_entry(body: bytes) -> NewEntry:
    """Read an entry as it is posted; raise `Malformed` naming the field."""
    raw = parse_object(body, _ENTRY)
    if unknown := sorted(raw.keys() - _FIELDS):
        name = unknown[0][:_SHOWN]
        raise Malformed(f"{name} is not a field of an entry", field=name)
    key = raw.get("idempotency_key")
    return NewEntry(
        type=_entry_type(raw.get("type")),
        actor=parse_text(raw.get("actor"), "actor"),
        data=_data(raw.get("data"), body),
        keys=_keys(raw.get("keys")),
        expect=_expect(raw.get("expect")),
        idempotency_key=None if key is None else parse_text(key, "idempotency_key"),
    )


def _entry_type(text: object) -> EntryType:
    entry_type = EntryType.parse(text)
    if entry_type.startswith(PREFIX):
        raise Malformed(f"types that start with {PREFIX} are the databuffer's own", field="type")
    return entry_type


def _data(data: object, body: bytes) -> bytes:
    if not isinstance(data, dict):
        raise Malformed("data is an object", field="data")
    kinds = body.translate(_KIND_OF_BYTE)
    if any(long in kinds for long in _LONG_NUMBERS):
        _refuse_inexact(body)
    try:
        return orjson.dumps(data)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise Malformed(f"data cannot be kept: {error}", field="data") from error


def _refuse_inexact(body: bytes) -> None:
    """Refuse integers over 64 bits: the fast parser would silently make floats of them."""

    def exact(text: str) -> int:
        if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
            raise Malformed("an integer needs more than 64 bits", field="data")
        return int(text)

    try:
        json.loads(body, parse_int=exact)
    except RecursionError as error:
        raise Malformed("data is nested too deeply", field="data") from error


def _key(key: object, field: str) -> str:
    return parse_text(key, field, _LONGEST_KEY)


def _keys(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise Malformed("keys is an array of names", field="keys")
    keys = tuple(_key(key, f"keys[{at}]") for at, key in enumerate(raw))
    for at, key in enumerate(keys):
        if key.startswith(OWN_KEYS):
            raise Malformed(f"{OWN_KEYS} keys are the databuffer's own", field=f"keys[{at}]")
    return keys


def _expect(raw: object) -> Mapping[str, int]:
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise Malformed("expect is an object: key to LSN", field="expect")
    return {_key(key, "expect"): _lsn(lsn) for key, lsn in raw.items()}


def _lsn(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or raw < 0:
        raise Malformed("an LSN is a whole number, 0 or more", field="expect")
    return raw


def _whole(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20) or int(text) > most:
        raise Malformed(f"{name} is a whole number up to {most}", field=name)
    return int(text)


def _seconds(query: Mapping[str, str]) -> float:
    text = query.get("wait", "0")
    if not _SECONDS.fullmatch(text) or float(text) > _LONGEST_WAIT:
        raise Malformed(f"wait is a number of seconds up to {_LONGEST_WAIT}", field="wait")
    return float(text)


def _position(head: Head, lsn: int) -> dict[str, str]:
    return {"X-Ledger-LSN": str(lsn), "X-Ledger-Id": head.ledger}
