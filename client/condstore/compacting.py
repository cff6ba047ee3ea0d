"""Keeping a store small: compress its ledger, find and remove unreferenced payloads.

Each is one request, which the databuffer answers when it is done; there one is done at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from condstore import interrupts
from condstore.errors import NotFound, UnexpectedAnswer
from condstore.producer.exchange import Asked, connected
from condstore.retry import HASTY
from condstore.transport import MAX_SILENCE, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.access import Access

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Compressed:
    """What was done now: how many segments, and their bytes."""

    segments: int
    bytes_before: int
    bytes_after: int

    @classmethod
    def read(cls, told: dict[str, Any]) -> Compressed:
        """Read the databuffer's answer."""
        return cls(told["segments"], told["bytes_before"], told["bytes_after"])


@dataclass(frozen=True, slots=True)
class Unreferenced:
    """Payloads that neither an entry nor a document names: found, removed, too young to remove."""

    unreferenced: int
    bytes: int
    removed: int
    removed_bytes: int
    younger: int
    sample: tuple[str, ...]

    @classmethod
    def read(cls, told: dict[str, Any]) -> Unreferenced:
        """Read the databuffer's answer."""
        names = ("unreferenced", "bytes", "removed", "removed_bytes", "younger", "sample")
        found = {name: told[name] for name in names}
        return cls(**found | {"sample": tuple(told["sample"])})


def compress(url: str, access: Access) -> Compressed:
    """Have the databuffer at `url` compress every sealed segment that is not yet."""
    return _told(url, access, "/ledger/compress", {}, Compressed.read)


def unreferenced(url: str, access: Access, older_than: int, *, remove: bool) -> Unreferenced:
    """Have payloads looked for that are unreferenced for so many seconds, and perhaps removed."""
    body = {"older_than": older_than, "remove": remove}
    return _told(url, access, "/blobs/unreferenced", body, Unreferenced.read)


def _told(
    url: str, access: Access, path: str, body: object, read: Callable[[dict[str, Any]], T]
) -> T:
    try:
        return interrupts.run(_post(url, access, path, body, read))
    except NotFound as error:
        raise UnexpectedAnswer(
            f"{url}{path} is not there: DB_BURL must name a databuffer, of this version or newer"
        ) from error


async def _post(
    url: str, access: Access, path: str, body: object, read: Callable[[dict[str, Any]], T]
) -> T:
    slow = Timeouts(silent=MAX_SILENCE)
    async with connected((url,), 1, HASTY, slow, access, "DB_BURL") as exchange:
        return (await exchange.send(Asked.telling(path, body))).read(read)
