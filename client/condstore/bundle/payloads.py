"""The payloads of a pull: fetched some at a time, verified, put inside the bundle or beside it."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final

from condstore.bundle import beside
from condstore.bundle import format as layout
from condstore.bundle.file import opened
from condstore.bundle.told import Progress
from condstore.digests import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from condstore.bundle.told import Tell, Told
    from condstore.bundle.writing import Writer

AT_ONCE: Final = 4
"""Payloads that are fetched at a time; of each no more than some MiB is in memory."""


def keep_inside(client: Told, writer: Writer, tell: Tell) -> None:
    """Put the payload of every staged row into the bundle; raise what fetching one raises."""
    digests = [*writer.digests()]
    done = size = 0
    with _fetched(client, digests) as found:
        for digest, file in found:
            with file:
                size += writer.keep_payload(digest, file)
            done += 1
            tell(Progress("payloads", done, len(digests), size))


def keep_beside(client: Told, path: Path, directory: Path, tell: Tell) -> None:
    """Put the payloads that the bundle at `path` names into a directory, but for those there."""
    query = "SELECT DISTINCT digest FROM iov WHERE digest IS NOT NULL ORDER BY digest"
    with opened(path) as connection:
        named = [digest for (digest,) in connection.execute(query)]
    lacked = [each for each in named if not beside.is_there(directory, Digest.parse(each))]
    done, size = len(named) - len(lacked), 0
    with _fetched(client, lacked) as found:
        for digest, file in found:
            with file:
                size += beside.keep(directory, Digest.parse(digest), _pieces(file))
            done += 1
            tell(Progress("payloads", done, len(named), size))


@contextmanager
def _fetched(client: Told, digests: Iterable[str]) -> Iterator[Iterator[tuple[str, BinaryIO]]]:
    """Give each payload opened, in order, while the next ones are being fetched."""
    rest, begun = iter(digests), deque[tuple[str, "Future[BinaryIO]"]]()
    with ThreadPoolExecutor(AT_ONCE, "pull") as pool:

        def begin(many: int) -> None:
            for digest in islice(rest, many):
                begun.append((digest, pool.submit(client.open, Digest.parse(digest))))

        def found() -> Iterator[tuple[str, BinaryIO]]:
            begin(2 * AT_ONCE)
            while begun:
                digest, file = begun.popleft()
                yield digest, file.result()
                begin(1)

        try:
            yield found()
        finally:
            for _, left in begun:
                if not left.cancel() and left.exception() is None:
                    left.result().close()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(layout.PIECE):
        yield piece
