"""Reads answered by the logic tier, page by page, all pages of one state of the tag."""

from __future__ import annotations

import contextlib
import dataclasses
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

import requests

from condstore.calls import V1, Call, between, tag_path
from condstore.errors import ServerAway, UnexpectedAnswer
from condstore.results import PayloadIOV, Resolution, Tag, TagContent
from condstore.results.parsing import optional, several
from condstore.transport import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from condstore.digests import Digest
    from condstore.moments import Moment
    from condstore.results import Json
    from condstore.server import Server

MOMENTS: Final = 1000
"""How many moments one request may ask about."""

_CHUNK: Final = 1 << 20


class Online:
    """The `Source` that asks servers."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def tags(self, search: str, state: str | None) -> tuple[Tag, ...]:
        """Return the global tags by name, however many pages they fill."""
        asked = {"search": search} if search else {}
        asked |= {"state": state} if state else {}
        rows = self._server.pages(f"{V1}/global-tags", "global_tags", asked)
        return tuple(Tag.read(row) for row in rows)

    def tag(self, ref: str) -> TagContent:
        """Return a global tag and its payload lists."""
        return self._server.read(TagContent.read, tag_path(ref))

    def resolve(self, ref: str, moment: Moment, payload_type: str | None) -> Resolution:
        """Return what holds at a moment."""
        params = between(moment, None)
        params |= {"type": payload_type} if payload_type else {}
        return self._server.read(Resolution.read, tag_path(ref, "payloads"), params)

    def resolve_many(
        self, ref: str, moments: Sequence[Moment], payload_types: Sequence[str]
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment, of one state however many requests it takes."""
        if len(moments) > MOMENTS and "@" not in ref:
            ref = self.tag(ref).tag.reference
        wanted = {"types": list(payload_types)} if payload_types else {}
        rest, found = iter(moments), list[Resolution]()
        while some := [list(moment) for moment in islice(rest, MOMENTS)]:
            path = tag_path(ref, "resolve")
            told = self._server.ask(
                lambda answer: several(Resolution.read, answer["resolutions"]),
                path,
                {"moments": some, **wanted},
            )
            if [list(one.moment) for one in told] != some:
                raise UnexpectedAnswer(f"{self._server.url}{path} answers about other moments")
            found += told
        return tuple(found)

    def iovs(
        self, ref: str, payload_type: str, begin: Moment | None, end: Moment | None
    ) -> Iterator[PayloadIOV]:
        """Yield the payload IOVs that overlap [begin, end), of one state of the tag."""
        params = between(begin, end)
        while True:
            path = tag_path(ref, "payload-lists", payload_type, "iovs")
            rows, following, lsn = self._server.read(partial(_iov_page, payload_type), path, params)
            yield from rows
            if following is None:
                return
            if following == params.get("after"):
                raise _endless(self._server.url, path)
            params["after"] = following
            if "@" not in ref:
                ref = f"{ref}@{lsn}"

    @contextlib.contextmanager
    def pieces(self, digest: Digest) -> Iterator[Iterator[bytes]]:
        """Give a payload's bytes as they come."""
        raw = {"Accept-Encoding": "identity"}
        call = Call("GET", f"{V1}/payloads/sha256/{digest.hex}", headers=raw)
        with contextlib.closing(_Download(self._server, call)) as download:
            yield download.pieces()


def _iov_page(payload_type: str, answer: Json) -> tuple[list[PayloadIOV], str | None, int]:
    rows = [PayloadIOV.read(payload_type, row) for row in answer["iovs"]]
    return rows, optional(str, answer["next"]), int(answer["lsn"])


class _Download:
    """A body that is fetched piece by piece, and goes on where it broke off."""

    def __init__(self, server: Server, call: Call) -> None:
        self._server, self._call = server, call
        self._response = server.open(call)

    def pieces(self) -> Iterator[bytes]:
        """Yield the body; a server that is away, and stays so, is `ServerAway`."""
        came = 0
        while True:
            before = came
            try:
                for piece in self._response.iter_content(_CHUNK):
                    came += len(piece)
                    yield piece
            except requests.RequestException as error:
                away = ServerAway(f"{self._response.url} broke off ({reason(error)})")
                if came == before or not self._goes_on(came):
                    raise away from error  # the whole is tried again, by who counts attempts
            else:
                return

    def _goes_on(self, came: int) -> bool:
        """Ask for the rest, and say if it is given: under its digest it is the same everywhere."""
        self.close()
        rest = {**self._call.headers, "Range": f"bytes={came}-"}
        call = dataclasses.replace(self._call, headers=rest, accept=frozenset({206}), stream=True)
        self._response = self._server.send(call)
        return self._response.headers.get("Content-Range", "").startswith(f"bytes {came}-")

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


def _endless(url: str, path: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"{url}{path} gives the same page again and again")
