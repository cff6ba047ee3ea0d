"""A token on its way into a file that only its owner may read, and for how long it is to live."""

from __future__ import annotations

import os
import re
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final

from condstore.errors import CondstoreError, UsageError

_TIME: Final = re.compile(r"([1-9][0-9]{0,5})([dhm])")
_UNIT: Final = {"d": "days", "h": "hours", "m": "minutes"}


def duration(text: str) -> timedelta:
    """Return a time as it is written on a command line; raise `UsageError`.

    >>> duration("90d"), duration("12h")
    (datetime.timedelta(days=90), datetime.timedelta(seconds=43200))
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise UsageError(f"{text!r} is not a time: 90d, 12h or 30m")
    return timedelta(**{_UNIT[found[2]]: int(found[1])})


def refuse_if_there(path: Path) -> None:
    """Raise if a token would replace what lies there."""
    if path.exists():
        raise CondstoreError(f"{path} is there already; --force replaces it")


def refuse_unless_writable(path: Path) -> None:
    """Raise if no file can be made there: before there is a token that would be lost."""
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise CondstoreError(f"{path.parent} is no folder that one may write to: no token is made")


def hint(tags: str) -> str | None:
    """Return what to say of a pattern that was meant as the shell's, None if it was not.

    >>> hint("2026-*")
    "'2026-*' is a regular expression: what begins with 2026- is '2026-.*'"
    >>> hint("2026-.*")
    """
    found = re.fullmatch(r"([\w+~:-]+)\*", tags)
    if found is None:
        return None
    return f"{tags!r} is a regular expression: what begins with {found[1]} is '{found[1]}.*'"


def keep(token: str, path: Path) -> None:
    """Write a token so that only its owner may read it, in place of what was there, in one step."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # for its owner only
    with os.fdopen(number, "w") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
