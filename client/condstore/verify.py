"""Walking the whole ledger and looking for everything it names: `condstore verify`.

Reads only, from the databuffer itself (not through the logic tier, whose view might hide damage),
with the tier secret if there is one. Payloads are hashed as they are on its disk, whatever of
them it has in memory. What is appended while it walks is left for the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from condstore import bulk, interrupts, ledger
from condstore.access import NOBODY, Access
from condstore.chain import START, Chain, Named, Problem
from condstore.producer.exchange import Asked, connected
from condstore.retry import HASTY
from condstore.retry_async import persist_async
from condstore.stages import ENTRIES, PAYLOADS, nobody
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import aiohttp

    from condstore.ledger import Head
    from condstore.producer.exchange import Exchange
    from condstore.stages import Tell

_PAGE = 5000
_AT_ONCE = 16
_PIECE = 1 << 20
_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
_FOUND_OR_NOT: Final = frozenset({200, 404})
_MISSING: Final = "is missing"


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and everything wrong with it, in ledger order."""

    head: Head
    payloads: int
    size: int
    hashed: bool
    problems: tuple[Problem, ...]


def verify(
    url: str,
    *,
    payloads: bool = False,
    tell: Tell = nobody,
    access: Access = NOBODY,
) -> Report:
    """Check the ledger at the databuffer `url`, and with `payloads` every payload's bytes too.

    `tell(what, done, of)` hears of the progress. Raises `ServerAway`, `UnexpectedAnswer`, `Denied`.
    """
    return interrupts.run(_verify(url, payloads, tell, access))


async def _verify(url: str, hashed: bool, tell: Tell, access: Access) -> Report:
    async with connected((url,), _AT_ONCE, HASTY, Timeouts(), access, "DB_BURL") as exchange:
        walk = _Walk(url, exchange, tell)
        head = await ledger.head(exchange, url)
        chain, named = await walk.ledger(head)
        payloads = _Payloads(exchange, tell, len(named))
        await payloads.look(named, hashed=hashed)
    problems = (*chain.problems, *_ends_elsewhere(chain, head), *payloads.problems)
    return Report(
        head=head,
        payloads=len(named),
        size=sum(one.size or 0 for one in named),
        hashed=hashed,
        problems=tuple(sorted(problems, key=lambda problem: problem.lsn)),
    )


def _ends_elsewhere(chain: Chain, head: Head) -> Iterable[Problem]:
    if chain.lsn != head.lsn:
        yield Problem(0, f"the ledger ends at LSN {chain.lsn}, its head says {head.lsn}")
    elif chain.hash != (head.hash if head.lsn else START):
        yield Problem(head.lsn, f"the last line's hash is not the head's ({head.hash})")


class _Walk:
    """The requests of one verification."""

    def __init__(self, url: str, exchange: Exchange, tell: Tell) -> None:
        self._url, self._exchange, self._tell = url, exchange, tell

    async def ledger(self, head: Head) -> tuple[Chain, tuple[Named, ...]]:
        """Take every line up to the head; return the chain and each payload once."""
        chain, named, told = Chain(), dict[str, Named](), 0
        asked = ledger.pages(self._exchange, self._url, 0, head.lsn, _PAGE)
        async with contextlib.aclosing(asked) as pages:
            async for lines in pages:
                for one in (one for line in lines for one in chain.take(line)):
                    known = named.setdefault(one.hex, one)
                    if known.size is None:
                        named[one.hex] = one
                    elif one.size not in {None, known.size}:
                        chain.problems.append(
                            Problem(one.lsn, f"says {one.size} bytes of {one.hex[:12]}, "
                                    f"LSN {known.lsn} says {known.size}")
                        )  # fmt: skip
                told += len(lines)
                self._tell(ENTRIES, told, head.lsn)
        return chain, tuple(named.values())


@dataclass(slots=True)
class _Payloads:
    """The payloads of one verification."""

    exchange: Exchange
    tell: Tell
    of: int
    done: int = 0
    problems: list[Problem] = field(default_factory=list)

    async def look(self, named: Sequence[Named], *, hashed: bool) -> None:
        alone = await self._many(named) if hashed else named
        rest = iter(alone)

        async def worker() -> None:
            for one in rest:
                look = functools.partial(self._single, one, hashed=hashed)
                self._looked(one, await persist_async(look, HASTY))

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))

    async def _many(self, named: Sequence[Named]) -> list[Named]:
        """Look at the small ones, many at a time; return those that must be asked for alone."""
        alone = [one for one in named if (one.size or 0) > bulk.LONGEST]
        small = deque(one for one in named if (one.size or 0) <= bulk.LONGEST)

        async def worker() -> None:
            while small:
                left = deque(small.popleft() for _ in range(min(bulk.BATCH, len(small))))
                try:
                    await persist_async(functools.partial(self._some, left, alone), HASTY)
                except bulk.TooOld:  # so it gives them as it will
                    alone.extend(left)

        await asyncio.gather(*(worker() for _ in range(bulk.AT_ONCE)))
        return alone

    async def _some(self, left: deque[Named], alone: list[Named]) -> None:
        names = [one.hex for one in left]
        async with contextlib.aclosing(bulk.read(self.exchange, names)) as answer:
            async for records in answer:
                for _, length, content in records:
                    one = left.popleft()
                    if length == bulk.LARGE:
                        alone.append(one)
                    else:
                        self._looked(one, _wrong(one, None if length == bulk.MISSING else content))

    def _looked(self, one: Named, what: str) -> None:
        if what:
            self.problems.append(Problem(one.lsn, f"payload sha256:{one.hex} {what}"))
        self.done += 1
        self.tell(PAYLOADS, self.done, self.of)

    async def _single(self, one: Named, *, hashed: bool) -> str:
        """Return what is wrong with a payload, or ""."""
        method, path = "GET" if hashed else "HEAD", f"/blobs/sha256/{one.hex}"
        asked = Asked(method, path, headers=_AS_IT_IS, accept=_FOUND_OR_NOT)
        async with self.exchange.open(asked) as response:
            if response.status == 404:
                return _MISSING
            length = response.headers.get("Content-Length", "")
            if one.size is not None and length != str(one.size):
                return _other_size(length or "no", one.size)
            return await _hash_differs(response, one.hex) if hashed else ""


def _wrong(one: Named, content: bytes | None) -> str:
    if content is None:
        return _MISSING
    if one.size not in {None, len(content)}:
        return _other_size(len(content), one.size)
    return _other_hash(hashlib.sha256(content).hexdigest(), one.hex)


async def _hash_differs(response: aiohttp.ClientResponse, expected: str) -> str:
    hasher = hashlib.sha256()
    async for piece in response.content.iter_chunked(_PIECE):
        hasher.update(piece)
    return _other_hash(hasher.hexdigest(), expected)


def _other_size(found: object, told: object) -> str:
    return f"has {found} bytes, the ledger says {told}"


def _other_hash(found: str, expected: str) -> str:
    return "" if found == expected else f"is damaged: its bytes hash to {found[:12]}"
