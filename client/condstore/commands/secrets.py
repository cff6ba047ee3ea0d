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
        raise UsageError(f"--expires {text!r} is not a time: 90d, 12h or 30m")
    return timedelta(**{_UNIT[found[2]]: int(found[1])})


def refuse_if_there(path: Path) -> None:
    """Raise if a token would replace what lies there."""
    if path.exists():
        raise CondstoreError(f"{path} is there already; --force replaces it")


def keep(token: str, path: Path) -> None:
    """Write a token so that only its owner may read it, in place of what was there, in one step."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # for its owner only
    with os.fdopen(number, "w") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)
