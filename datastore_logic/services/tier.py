"""What every use case works with: the view of this pod and the databuffer behind it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final, TypeVar

from datastore_logic.access.caller import sees
from datastore_logic.errors import NotFound, ViewBehind
from datastore_logic.view.fingerprints import Fingerprints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datastore_logic.config import Config
    from datastore_logic.databuffer.client import BufferClient
    from datastore_logic.services.token_use import TokenUse
    from datastore_logic.view.acknowledged import Acknowledged
    from datastore_logic.view.copying import Copies
    from datastore_logic.view.database import Database, Snapshot
    from datastore_logic.view.replica import Replica

Decision = TypeVar("Decision")

BYTES_READ: Final = 2
"""Reports of one process that read payloads at once: each holds a thread for up to a minute."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One process of the logic tier, wired; it owns no truth."""

    config: Config
    database: Database
    replica: Replica
    buffer: BufferClient
    acknowledged: Acknowledged
    token_use: TokenUse
    copies: Copies
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    bytes_read: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(BYTES_READ))
    waiting: BoundedSemaphore = field(default_factory=BoundedSemaphore)
    """Downloads that wait for a databuffer that restarts: each holds a thread."""

    @contextmanager
    def reading(
        self, least_lsn: int = 0, *, of: str | None = None, lazily: bool = False
    ) -> Iterator[Snapshot]:
        """Read one consistent state, that reflects `least_lsn` at least.

        What is read `of` the streaming buffer's tag reflects every segment this pod acknowledged,
        as far as the databuffer can be reached; for who does not see that tag nothing is waited
        for. `lazily`, the view's file is read only for what this process does not know.

        Raises:
            ViewBehind: it did not get there within VIEW_WAIT.
            ViewBuilding: the view is being built.
        """
        if of == self.config.stream_tag and sees(of):
            self._show_segments()
        if least_lsn and self.database.position().applied_lsn < least_lsn:
            self.catch_up(least_lsn)
        with self.database.snapshot(lazily=lazily) as snapshot:
            yield snapshot

    def decided(self, decide: Callable[[Snapshot], Decision]) -> Decision:
        """Decide on one consistent state, and again on the newest before saying there is no such.

        Another replica may just have made what this one has not heard of.

        Raises:
            DatabufferError: the databuffer is away, so nobody knows whether there is.
            And whatever `decide` raises.
        """
        try:
            with self.reading() as snapshot:
                return decide(snapshot)
        except NotFound:
            with self.reading(self.buffer.head().lsn) as snapshot:
                return decide(snapshot)

    def refuse_future(self, lsn: int) -> None:
        """Refuse an LSN that the ledger has not got to: nobody knows what will be said there.

        Raises:
            NotFound: it has not.
            BufferAway: this replica has not seen it, and cannot ask whether the ledger has.
        """
        if not lsn:
            return  # nothing is asked of the view, which takes longer than the rest of an answer
        if lsn > self.database.position().applied_lsn and lsn > (head := self.buffer.head().lsn):
            raise NotFound("lsn", f"{lsn}; the ledger's last is {head}")

    def _show_segments(self) -> None:
        newest = self.acknowledged.newest()
        if newest > self.database.position().applied_lsn:
            self.see(newest)

    def see(self, lsn: int) -> None:
        """Wait until this pod shows the entry `lsn`, which the ledger already holds.

        It is stored whatever happens here; so a view that cannot follow is not an error.
        """
        self.replica.wait_for(lsn, self.config.view_wait)

    def catch_up(self, lsn: int) -> None:
        """Wait until this pod shows the LSN.

        Raises:
            ViewBehind: it did not get there within VIEW_WAIT.
        """
        if not self.replica.wait_for(lsn, self.config.view_wait):
            raise ViewBehind(f"This replica has not reached LSN {lsn} yet; ask again shortly.")
