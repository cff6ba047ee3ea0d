"""Payload IOVs into a tag: looked up what stands there, told only what would change an answer.

A batch is inserted all or none, under a key made of its content and of the tag as it was seen: sent
again because the answer was lost it is done once, yet the same batch may be inserted anew after
somebody has taken it out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import urlencode

import orjson

from condstore.calls import tag_path
from condstore.errors import Conflict, Frozen, Identical, NotFound, UnexpectedAnswer
from condstore.producer.exchange import Asked
from condstore.producer.identical import Held, needless
from condstore.results import Inserted, NewIOV, PayloadIOV, TagContent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.producer.exchange import Exchange
    from condstore.producer.files import Measured
    from condstore.results import Json

OnIdentical: TypeAlias = Literal["skip", "insert", "refuse"]
"""What becomes of an IOV that would change no answer."""

_PAGE: Final = 10_000
_SPARE: Final = 100  # rows asked for beyond those that are sent: mostly all there is, in one page


@dataclass(frozen=True, slots=True)
class Placed:
    """What a batch came to: how many IOVs are new, how many were not needed, the LSN."""

    inserted: int
    identical: int
    lsn: int


async def find_open_tag(exchange: Exchange, tag: str) -> TagContent:
    """Return a tag that takes IOVs; refuse another before a byte is sent.

    Raises:
        NotFound: no such tag.
        Frozen, Conflict: it takes none.
    """
    found = await exchange.read(TagContent.read, tag_path(tag))
    if found.tag.state == "frozen":
        detail = f"Global tag {tag} is frozen and takes nothing more; clone it, and put there."
        raise Frozen(detail, status=409, code="tag_frozen")
    if found.tag.streamed:
        detail = f"Global tag {tag} holds what is streamed; make one of your own for payload IOVs."
        raise Conflict(detail, status=409, code="tag_streamed")
    return found


async def place(
    exchange: Exchange,
    tag: str,
    batch: Sequence[Measured],
    on_identical: OnIdentical,
    user: str | None,
) -> Placed:
    """Insert the IOVs of these payloads: all or none.

    Raises:
        Identical: under "refuse", naming the first that would change no answer.
        Refused: the server's word, nothing of the batch is there.
    """
    seen = await find_open_tag(exchange, tag)
    left_out = set() if on_identical == "insert" else await _identical(exchange, seen, batch)
    if left_out and on_identical == "refuse":
        raise Identical(_in_words(tag, batch[min(left_out)], len(left_out)))
    wanted = [_iov(one).wire() for at, one in enumerate(batch) if at not in left_out]
    if not wanted:
        return Placed(0, len(left_out), seen.tag.lsn)
    asked = Asked.telling(_path(tag, user), {"iovs": wanted}, _key(seen, wanted))
    done = (await exchange.send(asked)).read(Inserted.read)
    return Placed(len(wanted), len(left_out), done.lsn)


# ------------------------------------------------------------------------------------------------


async def _identical(exchange: Exchange, seen: TagContent, batch: Sequence[Measured]) -> set[int]:
    """Return the places in the batch of what would change no answer."""
    known = {held.payload_type for held in seen.payload_lists}
    by_type = sorted(range(len(batch)), key=lambda at: batch[at].file.payload_type)
    found: set[int] = set()
    for kind, group in groupby(by_type, key=lambda at: batch[at].file.payload_type):
        places = list(group)
        sent = [_held(batch[at]) for at in places]
        stored = await _standing(exchange, seen.tag.name, kind, sent) if kind in known else []
        found |= {places[at] for at in needless(stored, sent)}
    return found


async def _standing(exchange: Exchange, tag: str, kind: str, sent: Sequence[Held]) -> list[Held]:
    """Return the rows that overlap what is sent, and the first that starts after all of it."""
    begin = min(one.start for one in sent)
    last = max(max(one.start, one.end or one.start) for one in sent)
    query = {"major": str(begin.major), "minor": str(begin.minor)}
    query["limit"] = str(min(_PAGE, len(sent) + _SPARE))
    rows: list[Held] = []
    after: str | None = ""
    while after is not None and not (rows and rows[-1].start > last):
        path = tag_path(tag, "payload-lists", kind, "iovs")
        page, following = await _page(exchange, kind, f"{path}?{urlencode(query)}")
        if following == after:
            raise UnexpectedAnswer(
                f"the list of {kind} in {tag} gives the same page again and again"
            )
        rows, after = rows + page, following
        query["after"] = after or ""
    return rows


async def _page(exchange: Exchange, kind: str, path: str) -> tuple[list[Held], str | None]:
    def read(answer: Json) -> tuple[list[Held], str | None]:
        rows = [PayloadIOV.read(kind, row) for row in answer["iovs"]]
        return [Held(row.start, row.end, row.digest) for row in rows], answer["next"]

    try:
        return await exchange.read(read, path)
    except NotFound as error:
        if error.code == "tag_not_found":
            raise
        return [], None  # the list was detached meanwhile


def _held(one: Measured) -> Held:
    return Held(one.file.since, one.file.until, one.digest)


def _iov(one: Measured) -> NewIOV:
    file = one.file
    return NewIOV(
        payload_type=file.payload_type,
        start=file.since,
        end=file.until,
        name=file.name,
        digest=one.digest,
        checksum=file.checksum,
        size=one.size,
    )


def _path(tag: str, user: str | None) -> str:
    return tag_path(tag, "iovs") + (f"?{urlencode({'user': user})}" if user else "")


def _key(seen: TagContent, wanted: Json) -> str:
    """Return the idempotency key of a batch for the tag as it was seen."""
    seed = f"{seen.tag.name}\n{seen.tag.lsn}\n".encode() + orjson.dumps(wanted)
    return f"iovs-{hashlib.sha256(seed).hexdigest()}"


def _in_words(tag: str, one: Measured, count: int) -> str:
    others = f" and {count - 1} others" if count > 1 else ""
    return (
        f"{one.file}{others}: {tag} answers with the same payload ({one.digest[:19]}) there "
        'already; on_identical="skip" leaves such IOVs out, "insert" makes them all the same'
    )
