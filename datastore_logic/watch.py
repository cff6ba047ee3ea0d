"""What the tier tells of its work, while it does it, to whoever counts or traces."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAM = "stream"
_NAMES = {
    ("POST", "ledger"): "append",
    ("GET", "ledger"): "read ledger",
    ("POST", "blobs"): "store blob",
    ("GET", "blobs"): "read blob",
    ("HEAD", "blobs"): "look at blob",
    ("PUT", "blobs"): "store blob",
    ("GET", "state"): "read state",
    ("PUT", "state"): "write state",
}


class Cache(Protocol):
    """Is told of each look into something kept, and whether it was there; costs next to nothing."""

    def __call__(self, cache: str, *, hit: bool) -> None:
        """Note it."""


def unwatched(cache: str, *, hit: bool) -> None:
    """Forget it."""
    del cache, hit


@dataclass(slots=True)
class Call:
    """A call to the databuffer: what it is for, what goes along with it, and how it was answered.

    `headers` may be added to before it is sent; `status` stays 0 where no answer came.
    """

    name: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0

    @property
    def failed(self) -> bool:
        """Whether the databuffer did not do its part; that it says to come again is no failure."""
        return self.status in {0, 401, 403} or (self.status >= 500 and self.status != 503)


Around = Callable[[Call], AbstractContextManager[object]]
"""What is done around a call; the call's status is set inside."""


def alone(_call: Call) -> AbstractContextManager[object]:
    """Do nothing around it."""
    return nullcontext()


def both(outer: Around, inner: Around) -> Around:
    """Do one thing around the other."""

    @contextmanager
    def around(call: Call) -> Iterator[None]:
        with outer(call), inner(call):
            yield

    return around


def name_of(method: str, path: str) -> str:
    """Return what a call is for: one of few words, whatever its path.

    >>> name_of("GET", "/ledger?after=17&limit=10&wait=0"), name_of("GET", "/ledger?after=1&wait=5")
    ('read ledger', 'follow ledger')
    >>> name_of("GET", "/ledger/head"), name_of("POST", "/blobs/missing"), name_of("POST", "/sendF")
    ('ask for head', 'look for blobs', 'stream')
    """
    place, _, query = path.partition("?")
    if place == "/ledger" and method == "GET" and "wait=" in query and "wait=0" not in query:
        return "follow ledger"
    if place == "/ledger/head":
        return "ask for head"
    if place == "/blobs/missing":
        return "look for blobs"
    return _NAMES.get((method, place.split("/", 2)[1]), STREAM)
