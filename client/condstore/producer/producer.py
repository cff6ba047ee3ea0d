"""The asynchronous producer: segments into the buffer, payload files into a global tag.

Bounded: at most `in_flight` requests are open, and as many segments, or pieces of files, in memory.
Every request may be sent again and is done once, so a break of the network, the server or the
producer itself costs only time. Constructing opens no socket; each call has connections of its own.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final, get_args

from condstore.config import Settings, access_of, urls_of
from condstore.errors import CondstoreError, UsageError
from condstore.producer.exchange import connected
from condstore.producer.files import PayloadFile
from condstore.producer.filling import find_filling
from condstore.producer.journal import Journal
from condstore.producer.placing import OnIdentical, find_open_tag
from condstore.producer.putting import How, put_all
from condstore.producer.streams import stream_all
from condstore.producer.tally import PutDown, Streamed
from condstore.retry import PATIENT, Policy
from condstore.transport import Timeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from condstore.access import Credential
    from condstore.moments import When
    from condstore.producer.exchange import Exchange
    from condstore.producer.report import PutReport, StreamReport
    from condstore.segments import Segment

MOST_IN_FLIGHT: Final = 1000


class Producer:
    """Produce for the logic tier at `urls`, replicas of one; None: CONDSTORE_URL says where.

    `tell` hears of each segment or file that was acknowledged, `tell_bytes` of payload bytes on
    their way. `user` is who acts, for the history; `token` says so to servers that want to know
    (None: CONDSTORE_TOKEN or CONDSTORE_TOKEN_FILE does). `period` names a filling of the buffer, in
    which a segment is stored once; None: the present one, which each stream asks for.
    """

    def __init__(  # noqa: PLR0913 - each by name, each with a default
        self,
        urls: str | Sequence[str] | None = None,
        *,
        in_flight: int = 16,
        period: str | None = None,
        policy: Policy = PATIENT,
        timeouts: Timeouts | None = None,
        user: str | None = None,
        token: str | Credential | None = None,
        tell: Callable[[Any], object] = bool,
        tell_bytes: Callable[[int], object] = bool,
    ) -> None:
        if not 1 <= in_flight <= MOST_IN_FLIGHT:
            raise UsageError(f"in_flight={in_flight}: requests at a time, 1 to {MOST_IN_FLIGHT}")
        self._urls = urls_of(urls)
        self._in_flight = in_flight
        self._period = period
        self._policy = policy
        self._timeouts = timeouts or Timeouts()
        self._user = user
        self._access = access_of(os.environ, token)
        self._tell = tell
        self._tell_bytes = tell_bytes
        self._tally: Streamed | PutDown = Streamed(tell)

    @property
    def report(self) -> StreamReport | PutReport:
        """What the call begun last came to so far; true also after it was refused or cancelled."""
        return self._tally.report()

    async def stream(
        self,
        segments: Iterable[Segment] | AsyncIterable[Segment],
        *,
        resume: Path | None = None,
    ) -> StreamReport:
        """Stream all segments and return what was acknowledged; raise the first refusal.

        With `resume`, a file that this writes, segments acknowledged to an earlier run with the
        same file are not sent again. Without it they are, and are stored once all the same.
        """
        self._tally = tally = Streamed(self._tell)
        async with self._connected() as exchange:
            period = await self._filling(exchange) if self._period is None else self._period
            about = {"work": "stream", "period": period}
            with await self._journal(exchange, resume, about) as journal, _told(tally):
                await stream_all(exchange, segments, period, journal, tally)
        return tally.report()

    async def put(
        self,
        tag: str,
        files: Iterable[PayloadFile] | AsyncIterable[PayloadFile],
        *,
        on_identical: OnIdentical = "skip",
        resume: Path | None = None,
    ) -> PutReport:
        """Put payload files into a tag: the bytes that the store lacks, and their IOVs.

        IOVs come in inserts of up to 5000, all or none, when their payloads are all stored. One
        without an end closes the open one before it. `on_identical` says what becomes of one that
        would change no answer: "skip" leaves it out, "insert" makes it, "refuse" raises.

        Raises:
            NotFound, Frozen, Conflict: the tag is not there, or does not take them.
            Identical: under "refuse".
            UnreadableFile, DamagedPayload: a file cannot be read, or changed meanwhile.
            ServerAway: nobody answered until patience ended.
        """
        if on_identical not in get_args(OnIdentical):
            raise UsageError(f"on_identical={on_identical!r} is none of skip, insert, refuse")
        self._tally = tally = PutDown(tag, self._tell)
        async with self._connected() as exchange:
            made = (await find_open_tag(exchange, tag)).tag.created
            about = {"work": "put", "tag": tag, "made": made}
            how = How(on_identical, self._user, self._tell_bytes)
            with await self._journal(exchange, resume, about) as journal, _told(tally):
                await put_all(exchange, files, journal, tally, how)
        return tally.report()

    async def put_one(
        self,
        tag: str,
        source: Path | bytes,
        payload_type: str,
        start: When,
        end: When | None = None,
    ) -> PutReport:
        """Put one payload: what a calibration does after each run."""
        return await self.put(tag, [PayloadFile(source, payload_type, start, end)])

    def _connected(self) -> AbstractAsyncContextManager[Exchange]:
        return connected(self._urls, self._in_flight, self._policy, self._timeouts, self._access)

    async def _filling(self, exchange: Exchange) -> str:
        return await find_filling(exchange, Settings.from_environ(os.environ).stream_tag)

    async def _journal(
        self, exchange: Exchange, path: Path | None, about: dict[str, str]
    ) -> Journal:
        if path is None:
            return Journal(None, about)
        ledger = await exchange.read(lambda answer: str(answer["ledger"]), "/readyz")
        return Journal(path, {"ledger": ledger, **about})


@contextlib.contextmanager
def _told(tally: Streamed | PutDown) -> Iterator[None]:
    """Let a refusal say what was acknowledged before it, and take the time until the end."""
    try:
        yield
    except CondstoreError as error:
        error.add_note(f"Before that {tally.report()}.")
        raise
    finally:
        tally.end()
