"""Which filling of the streaming buffer is the present one: named by what the last flush archived.

A segment is stored once in a filling. Who did not know the filling would, after a flush, be told
that a segment is stored which went away with the archive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from condstore.calls import V1
from condstore.errors import UnexpectedAnswer
from condstore.results import Tag, newest_archive

if TYPE_CHECKING:
    from condstore.producer.exchange import Exchange
    from condstore.results import Json


async def find_filling(exchange: Exchange, stream_tag: str) -> str:
    """Return the newest tag that a flush has archived, "" if there is none."""
    found: list[Tag] = []
    after: str | None = ""
    while after is not None:
        query = {"search": f"{stream_tag}-", **({"after": after} if after else {})}
        page, following = await exchange.read(_page, f"{V1}/global-tags?{urlencode(query)}")
        if following == after:
            raise UnexpectedAnswer("the list of tags gives the same page again and again")
        found, after = found + page, following
    return newest_archive(found, stream_tag)


def _page(answer: Json) -> tuple[list[Tag], str | None]:
    return [Tag.read(row) for row in answer["global_tags"]], answer["next"]
