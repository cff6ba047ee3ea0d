"""To look through the eyes of who may read some tags only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from datastore_logic.access.caller import CALLER, Caller
from datastore_logic.access.roles import Grant, Role, TagPattern
from datastore_logic.access.sight import sight_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def seeing(pattern: str) -> Iterator[None]:
    """Ask, in this block, as one who may read the tags that a pattern covers."""
    seen_by = sight_of([Grant(Role.READER, TagPattern.parse(pattern))])
    before = CALLER.set(Caller(sight=seen_by))
    try:
        yield
    finally:
        CALLER.reset(before)
