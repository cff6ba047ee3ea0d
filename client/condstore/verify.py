"""Walking the whole ledger and looking for everything it names: `condstore verify`.

Reads only, from the databuffer itself (not through the logic tier, whose view might hide damage),
with the tier secret if there is one. What is appended while it walks is left for the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from condstore import interrupts, ledger
from condstore.access import NOBODY, Access
from condstore.chain import START, Chain, Named, Problem
from condstore.producer.exchange import Asked, connected
from condstore.retry import HASTY
from condstore.retry_async import persist_async
from condstore.stages import ENTRIES, PAYLOADS, nobody
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterable

    import aiohttp

    from condstore.ledger import Head
    from condstore.producer.exchange import Exchange
    from condstore.stages import Tell

_PAGE = 5000
_AT_ONCE = 16
_PIECE = 1 << 20
_AS_IT_IS: Final = {"Accept-Encoding": "identity"}
_FOUND_OR_NOT: Final = frozenset({200, 404})


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
        wrong = await walk.payloads(named, hashed=hashed)
    problems = (*chain.problems, *_ends_elsewhere(chain, head), *wrong)
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

    async def payloads(self, named: tuple[Named, ...], *, hashed: bool) -> list[Problem]:
        problems: list[Problem] = []
        rest, done = iter(named), 0

        async def worker() -> None:
            nonlocal done
            for one in rest:
                look = functools.partial(self._look, one, hashed=hashed)
                if what := await persist_async(look, HASTY):
                    problems.append(Problem(one.lsn, f"payload sha256:{one.hex} {what}"))
                done += 1
                self._tell(PAYLOADS, done, len(named))

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))
        return problems

    async def _look(self, one: Named, *, hashed: bool) -> str:
        """Return what is wrong with a payload, or ""."""
        method, path = "GET" if hashed else "HEAD", f"/blobs/sha256/{one.hex}"
        asked = Asked(method, path, headers=_AS_IT_IS, accept=_FOUND_OR_NOT)
        async with self._exchange.open(asked) as response:
            if response.status == 404:
                return "is missing"
            length = response.headers.get("Content-Length", "")
            if one.size is not None and length != str(one.size):
                return f"has {length or 'no'} bytes, the ledger says {one.size}"
            return await _hash_differs(response, one.hex) if hashed else ""


async def _hash_differs(response: aiohttp.ClientResponse, expected: str) -> str:
    hasher = hashlib.sha256()
    async for piece in response.content.iter_chunked(_PIECE):
        hasher.update(piece)
    found = hasher.hexdigest()
    return "" if found == expected else f"is damaged: its bytes hash to {found[:12]}"
