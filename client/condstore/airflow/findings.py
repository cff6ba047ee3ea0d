"""What speaks against freezing a tag, in one line of a task's log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from condstore.terminal import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from condstore.results import PreflightReport, TypeReport

_SHOWN: Final = 3


def in_words(report: PreflightReport) -> str:
    """Return what a strict freeze refuses the tag for: type, how many, where the first are."""
    found = [f"nothing of {name}" for name in report.missing_types]
    for one in report.payload_types:
        found += _of_type(one)
    return "; ".join(found) or "nothing speaks against freezing it"


def _of_type(one: TypeReport) -> Iterator[str]:
    for what, tally in (
        ("gap", one.gaps),
        ("missing payload", one.missing_payloads),
        ("wrong payload", one.wrong_payloads),
    ):
        if tally.count:
            where = ", ".join(place.start.pair() for place in tally.first[:_SHOWN])
            yield f"{one.payload_type}: {plural(tally.count, what)} at {where}"
