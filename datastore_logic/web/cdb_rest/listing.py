"""Lists, however long: encoded and sent piece by piece while one consistent state is held."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson
from flask import Response

from datastore_logic.domain.tags import TagState
from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import IOVS, LISTS
from datastore_logic.web import fields, wire
from datastore_logic.web.cdb_rest import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from datastore_logic.services.tier import Tier
    from datastore_logic.view.catalogue import ListLine, Page, Shelf, TagLine
    from datastore_logic.view.database import Snapshot
    from datastore_logic.web.cdb_rest.ends import Ends

    Pieces = Iterator[bytes]

ROWS: Final = 500
PIECE: Final = 1 << 16


def browsed(
    tier: Tier, shelf: Shelf[Any], page: Page, show: Callable[[Any], shown.Shown]
) -> Response:
    """Answer one page of what is there."""
    with tier.reading(fields.min_lsn(), of=tier.config.stream_tag) as snapshot:
        count, lines = catalogue.browse(snapshot, shelf, page)
        told = {
            "count": count,
            "page": page.number,
            "page_size": page.size,
            "total_pages": -(-count // page.size),
            "results": [show(line) for line in lines],
        }
        return wire.revalidated(told, snapshot, snapshot.lsn)


def streamed(tier: Tier, begin: Callable[[Snapshot], tuple[Pieces, int]]) -> Response:
    """Answer the JSON that `begin` yields, of what the LSN it names last touched.

    What `begin` raises is raised before anything is sent. The state is held until all is sent, or
    the reader is gone.
    """
    with ExitStack() as held:
        snapshot = held.enter_context(tier.reading(fields.min_lsn(), of=tier.config.stream_tag))
        pieces, lsn = begin(snapshot)
        response = wire.revalidated(None, snapshot, lsn)
        if response.status_code == 304:
            return response
        response.headers.remove("Content-Length")
        whole = Response(_gathered(pieces), headers=response.headers)
        whole.call_on_close(held.pop_all().close)
        return whole


def nested_tag(snapshot: Snapshot, tag: TagLine, ends: Ends) -> Pieces:
    """Yield a tag with its lists and their IOVs."""
    told = shown.tag(tag, shown.described_status(TagState(tag.state)))
    after = {"created": told.pop("created"), "updated": told.pop("updated")}
    lists = [*catalogue.everything(snapshot, LISTS, tag_id=tag.id)]
    inner = array(nested_list(snapshot, held, ends) for held in lists)
    return _around(told, "payload_lists", inner, after)


def nested_list(snapshot: Snapshot, held: ListLine, ends: Ends) -> Pieces:
    """Yield a list with its IOVs."""
    told = shown.payload_list(held)
    after = {"created": told.pop("created")}
    rows = (shown.payload_iov(line, ends) for line in catalogue.iovs_of(snapshot, held))
    return _around(told, "payload_iov", _rows(rows), after)


def every_iov(snapshot: Snapshot, ends: Ends) -> Pieces:
    """Yield every IOV there is, in a list or not."""
    return _rows(shown.payload_iov(line, ends) for line in catalogue.everything(snapshot, IOVS))


def array(parts: Iterable[Pieces]) -> Pieces:
    """Yield a JSON array of what is encoded already."""
    yield b"["
    for number, part in enumerate(parts):
        if number:
            yield b","
        yield from part
    yield b"]"


def _rows(rows: Iterator[shown.Shown]) -> Pieces:
    """Yield a JSON array, many rows a piece."""
    batches = iter(lambda: [*islice(rows, ROWS)], [])
    return array(iter((orjson.dumps(batch)[1:-1],)) for batch in batches)


def _around(before: shown.Shown, field: str, inner: Pieces, after: shown.Shown) -> Pieces:
    """Yield an object of whose fields one is encoded already."""
    yield orjson.dumps(before)[:-1] + f',"{field}":'.encode()
    yield from inner
    yield b"," + orjson.dumps(after)[1:]


def _gathered(pieces: Pieces) -> Pieces:
    """Yield the same bytes in pieces worth sending."""
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(kept)
            kept, size = [], 0
    yield b"".join(kept)
