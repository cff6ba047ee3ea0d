"""`condstore resolve --watch`: ask again and again, and say only what is new.

The servers tell whether a known answer is still true; which ledger position they are at is not
news. A server that goes away is said once, and waited for.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING

from condstore import show
from condstore.errors import ServerAway
from condstore.interrupts import terminable, until_stopped
from condstore.show.written import style

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.client import Client
    from condstore.moments import Moment
    from condstore.results import Resolution
    from condstore.terminal import Terminal


def watch(
    client: Client,
    ref: str,
    moment: Moment,
    payload_type: str | None,
    to: Terminal,
    *,
    every: float,
    as_json: bool,
) -> None:
    """Print the answer, and again whenever it changes, until Ctrl-C; ask each `every` seconds.

    An answer that cannot change, that of a fixed reference, is printed once.
    """
    with until_stopped(), terminable():
        for number, found in enumerate(_answers(client, ref, moment, payload_type, to, every)):
            if as_json:
                to.say(show.as_json(found, lines=True))
            else:
                _say(to, found, first=number == 0)
            if is_fixed(ref):
                to.complain(f"{ref} never changes: nothing to watch")
                return


def is_fixed(ref: str) -> bool:
    """Say whether a reference names one state for ever: TAG@<fingerprint>, TAG@<LSN>.

    >>> is_fixed("prompt@17"), is_fixed("prompt")
    (True, False)
    """
    return "@" in ref


def _say(to: Terminal, found: Resolution, *, first: bool) -> None:
    how = style((found.moment, found.since, found.until))
    if not first:
        to.say()
    to.say(to.dim(f"--- {time.strftime('%H:%M:%S')}"))
    for line in show.resolution(found, how, to):
        to.say(line)


def _answers(
    client: Client,
    ref: str,
    moment: Moment,
    payload_type: str | None,
    to: Terminal,
    every: float,
) -> Iterator[Resolution]:
    """Yield the answer each time it differs from the one before."""
    never, known, away = threading.Event(), None, False
    while True:
        try:
            found = client.resolve(ref, moment, payload_type)
        except ServerAway as error:
            if known is None:
                raise
            if not away:
                to.complain(f"condstore: {error}; still asking")
            away = True
        else:
            if away:
                to.complain("condstore: it answers again")
            away = False
            if known is None or dataclasses.replace(found, lsn=known.lsn) != known:
                yield found
            known = found
        never.wait(every)
