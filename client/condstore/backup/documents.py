"""The documents of a store that go into a backup: all but those that are made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from condstore.backup.layout import DOCUMENT
from condstore.errors import NotFound, UnexpectedAnswer
from condstore.producer.exchange import Asked

if TYPE_CHECKING:
    from condstore.producer.exchange import Exchange

_NOT_TAKEN: Final = frozenset({"checkpoint"})
"""Documents that are made again: a replica's checkpoint names a blob of this ledger id."""

_MOST: Final = 64 << 20
"""Bytes of one, or of the list of their names; a databuffer takes a document of 1 MiB."""


async def of_store(exchange: Exchange) -> dict[str, str]:
    """Return the text of each document by its name; raise `UnexpectedAnswer` if one is none."""
    try:
        names = (await exchange.send(Asked("GET", "/state", most=_MOST))).read(_names)
    except NotFound:  # an older databuffer, which has none but a checkpoint
        names = []
    found = {}
    for name in sorted({*names} - _NOT_TAKEN):
        answer = await exchange.send(Asked("GET", f"/state/{name}", most=_MOST))
        try:
            found[name] = answer.body.decode()
        except UnicodeDecodeError as error:
            raise UnexpectedAnswer(f"{answer.url}/state/{name} is no text: {error}") from error
    return found


def _names(answer: dict[str, object]) -> list[str]:
    names = answer["names"]
    if not isinstance(names, list) or not all(map(DOCUMENT.fullmatch, names)):
        raise ValueError(f"{names} are no names of documents")
    return names
