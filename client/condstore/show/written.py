"""How digests, names and whole results are written; moments as `condstore.moments` does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.moments import Moment, Written, gps, runs, style

if TYPE_CHECKING:
    from condstore.results import Payload, PayloadIOV


def style_of(text: str, *others: Moment | None) -> Written:
    """Choose the way in which the caller wrote one, else what the others look like."""
    if "." in text:
        return gps
    return runs if ":" in text else style([Moment.parse(text), *others])


def what(payload: Payload | PayloadIOV) -> str:
    """Write by what a payload is known: its digest, or its name where it is kept elsewhere."""
    return short(payload.digest) if payload.digest else payload.name


def short(digest: str) -> str:
    """Write enough of a digest to tell payloads apart on a screen."""
    return digest.removeprefix("sha256:")[:12]


def named(name: str) -> str:
    """Write a payload's name; one that is its digest only is shortened."""
    return f"{name[:19]}…" if name.startswith("sha256:") and len(name) == 71 else name


def as_json(value: object, *, lines: bool = False) -> str:
    """Write a result as one JSON document, on one line where each line is one (`lines`)."""
    return json.dumps(value, indent=None if lines else 2, default=_plain)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no JSON")
