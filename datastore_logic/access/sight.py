"""What a caller sees of the tags: one predicate on names, which stands for all who see the same.

It remembers what it has said of a name, for lists of thousands of tags are asked about again and
again. `mark` tells it from every other: an answer that depends on who asks carries it in its ETag,
so that a cache which several people share in one browser never takes one's answer for another's.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from datastore_logic.access.roles import Grant, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

REMEMBERED: Final = 5000
"""Names of which a sight remembers what it said."""

SIGHTS: Final = 64
"""Sights that a process keeps; who has the same grants has the same."""


class Sight:
    """Whether a tag of some name is to be seen: where a grant of any role covers the name."""

    __slots__ = ("_known", "_patterns", "mark")

    def __init__(self, grants: tuple[Grant, ...]) -> None:
        patterns = {grant.pattern.text: grant.pattern for grant in grants if _reads(grant)}
        self._patterns = tuple(patterns.values())
        self._known: dict[str, bool] = {}
        told = "\n".join(sorted(patterns))
        self.mark = hashlib.sha256(told.encode()).hexdigest()[:16]

    def __call__(self, name: str) -> bool:
        """Say whether a tag of this name is to be seen."""
        found = self._known.get(name)
        if found is None:
            found = any(pattern.covers(name) for pattern in self._patterns)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[name] = found
        return found


def sight_of(grants: Iterable[Grant]) -> Sight | None:
    """Return what these grants let one see, None for everything.

    >>> sight_of([])("prompt")
    False
    """
    told = tuple(grants)
    if any(_reads(grant) and grant.pattern.covers_all for grant in told):
        return None
    return _kept(told)


@lru_cache(maxsize=SIGHTS)
def _kept(grants: tuple[Grant, ...]) -> Sight:
    return Sight(grants)


def _reads(grant: Grant) -> bool:
    return grant.role.includes(Role.READER)
