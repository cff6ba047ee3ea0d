"""Who comes where every connection is taken: told so, unless it is a probe or a scrape.

A guest has a second to speak, and the newest have the places: those who came first have had their
time. So whoever opens enough connections has no replica killed, and none hidden.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from datastore_logic.serving import alive
from datastore_logic.serving.connection import Stage
from datastore_logic.serving.incoming import Outlook

if TYPE_CHECKING:
    from datastore_logic.serving.connection import Connection

GUESTS: Final = 128
"""How many there may be at once for whom there is no place, and how many come in a tick."""

GUEST_SPEAKS: Final = 1.0
"""Seconds within which a guest must have said what it wants."""

FULL: Final = "All connections of this replica are taken; come again."


def is_refused(conn: Connection, outlook: Outlook) -> bool:
    """Tell whether what has come is of a guest, and no probe."""
    return conn.is_guest and not (outlook is Outlook.WHOLE and alive.is_probe(conn.incoming.held))


class Guests:
    """The connections for which there is no place, as they came."""

    def __init__(self) -> None:
        self._there: dict[Connection, None] = {}

    @property
    def room(self) -> int:
        """How many may come now: those whom a thread serves stay, all others may have to leave."""
        return GUESTS - (len(self._there) - len(self._unserved()))

    def welcome(self, conn: Connection) -> None:
        """Take one in."""
        conn.is_guest = True
        conn.limits = replace(conn.limits, head=min(conn.limits.head, GUEST_SPEAKS))
        self._there[conn] = None

    def surplus(self) -> list[Connection]:
        """Return who has to leave for those that came later; nobody whom a thread serves."""
        return self._unserved()[: max(0, len(self._there) - GUESTS)]

    def leave(self, conn: Connection) -> None:
        """Forget one that is gone."""
        del self._there[conn]

    def _unserved(self) -> list[Connection]:
        return [conn for conn in self._there if conn.stage is not Stage.SERVED]
