"""Asking before what cannot be taken back, or shuts others out: the name must be typed again.

Only a person at a terminal can be asked; a script says `--yes`, and one that does not is refused.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from condstore.errors import CondstoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from condstore.terminal import Terminal


class NotConfirmed(CondstoreError):
    """Something else than the name was typed: nothing was done."""


def confirm(
    terminal: Terminal,
    act: str,
    name: str,
    *,
    yes: bool,
    to_know: Callable[[], Iterable[str]] = tuple,
) -> None:
    """Return if the person means it; raise `NotConfirmed` or `UsageError` if not.

    `act` says what is about to happen, as a sentence without its full stop; `to_know` returns
    lines that the person should have read, which may take a while: only who is asked waits for it.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{act}: nobody is at a terminal to confirm it; a script says --yes")
    for line in to_know():
        terminal.complain(line)
    terminal.complain(act)
    typed = terminal.ask(f"type {name} to go on: ")
    if typed.strip() != name:
        raise NotConfirmed(f"that is not {name}: nothing was done")
