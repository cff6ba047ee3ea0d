"""condstore: ask which conditions hold at a moment, and keep them.

    from condstore import Client

    client = Client("http://conditions.example:5000")
    tag = client.pin("2026-prompt")
    beam = client.resolve(tag, (1200, 17)).payload("Beam")
    with client.open(beam) as file: ...

What is named here is imported when it is first used: a job that reads a bundle needs the standard
library only.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from condstore.cache import Cache
    from condstore.client import Client
    from condstore.digests import Digest
    from condstore.errors import CondstoreError
    from condstore.moments import Moment
    from condstore.producer import PayloadFile, Producer
    from condstore.results import NewIOV

__all__ = [
    "Cache",
    "Client",
    "CondstoreError",
    "Digest",
    "Moment",
    "NewIOV",
    "PayloadFile",
    "Producer",
]

_MODULES = {
    "Cache": "cache",
    "Client": "client",
    "CondstoreError": "errors",
    "Digest": "digests",
    "Moment": "moments",
    "NewIOV": "results",
    "PayloadFile": "producer",
    "Producer": "producer",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"condstore.{_MODULES[name]}"), name)
