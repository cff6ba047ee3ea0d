"""How long the tests take: short in each change, long when asked to by `make test-long`."""

from __future__ import annotations

import os
from typing import TypeVar

_Asked = TypeVar("_Asked")

LONG = os.environ.get("CONDSTORE_LONG") == "1"


def at_length(short: _Asked, long: _Asked) -> _Asked:
    """Return the second in the long form, where more rounds prove more; the first otherwise."""
    return long if LONG else short
