"""`condstore resolve --watch`: ask again and again, and say only what is new.

Which ledger position the servers are at is not news, and a question costs them next to nothing.
A server that goes away is said once, and waited for.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING

from condstore import show
from condstore.errors import ServerAway
from condstore.interrupts import terminable, until_stopped
from condstore.moments import style

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from condstore.results import Resolution
    from condstore.terminal import Terminal


def watch(
    ask: Callable[[], Resolution], to: Terminal, *, every: float, fixed: bool, as_json: bool
) -> None:
    """Print what `ask` answers, and again whenever that changes, until Ctrl-C.

    It is asked each `every` seconds; a `fixed` answer, which cannot change, is printed once.
    """
    with until_stopped(), terminable():
        for number, found in enumerate(_answers(ask, to, every)):
            if as_json:
                to.say(show.as_json(found, lines=True))
            else:
                _say(to, found, first=number == 0)
            if fixed:
                to.complain(f"{found.tag}: this answer never changes, nothing to watch")
                return


def _say(to: Terminal, found: Resolution, *, first: bool) -> None:
    how = style((found.moment, found.since, found.until))
    if not first:
        to.say()
    to.say(to.dim(f"--- {time.strftime('%H:%M:%S')}"))
    for line in show.resolution(found, how, to):
        to.say(line)


def _answers(ask: Callable[[], Resolution], to: Terminal, every: float) -> Iterator[Resolution]:
    """Yield the answer each time it differs from the one before."""
    never, known, away = threading.Event(), None, False
    while True:
        try:
            found = ask()
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
