"""Reading a server's JSON into values: what lacks a promised field came from somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from condstore.errors import UnexpectedAnswer
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

Json: TypeAlias = Any


def parse(make: Callable[[Json], T], answer: Json, url: str) -> T:
    """Return `make(answer)`; raise `UnexpectedAnswer` naming the URL if it is something else."""
    try:
        return make(answer)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise UnexpectedAnswer(
            f"{url} does not answer as a condstore server does ({type(error).__name__}: {error}); "
            "is another service on that port?"
        ) from error


def optional(kind: Callable[[Json], T], value: Json) -> T | None:
    """Return `kind(value)`, or None where there is nothing."""
    return None if value is None else kind(value)


def moment(pair: Json) -> Moment:
    """Return the moment of `[major, minor]`."""
    major, minor = pair
    return Moment(int(major), int(minor))


def open_moment(pair: Json) -> Moment | None:
    """Return the moment of `[major, minor]`, or None where there is none."""
    return None if pair is None else moment(pair)


def several(make: Callable[[Json], T], rows: Json) -> tuple[T, ...]:
    """Return each row as a value."""
    return tuple(make(row) for row in rows)
