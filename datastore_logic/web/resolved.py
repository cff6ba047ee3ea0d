"""A resolution that succeeded, noted where it is answered and counted where every answer is."""

from __future__ import annotations

from typing import NamedTuple

from flask import g


class Resolved(NamedTuple):
    """By which contract, and of which tag."""

    contract: str
    tag: str


def note(contract: str, tag: str) -> None:
    """Note that this request resolves moments of this tag, which is there."""
    g.resolved = Resolved(contract, tag)


def noted() -> Resolved | None:
    """Return what this request has resolved."""
    found: Resolved | None = g.get("resolved")
    return found
