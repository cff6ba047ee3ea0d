"""What a v1 request asks: references, pages, bodies; each refusal names the field."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from flask import request

from datastore_logic.domain.errors import BadMoment
from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.domain.tags import ListName, PayloadTypeName, TagRef, TagState
from datastore_logic.errors import BadRequest
from datastore_logic.services.freezing import Look
from datastore_logic.web import bodies, fields
from datastore_logic.web.bounds import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.domain.moment import Interval
    from datastore_logic.services.commit import Asking
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.web.bounds import Bounds

PAGE: Final = 1000
LOOK: Final = ("read_bytes", "template")
MAX_SEARCH: Final = 200
MAX_LSN_DIGITS: Final = 18
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def ref(text: str) -> TagRef:
    """Return what the path names; `?as_of=17` behind TAG says the same as TAG@17."""
    found = TagRef.parse(text)
    if "as_of" not in request.args:
        return found
    if found.fingerprint is not None or found.lsn is not None:
        raise BadRequest("as_of: the path already says which state of the tag", field="as_of")
    return TagRef(found.name, lsn=number("as_of"))


@contextmanager
def reading(tier: Tier, *refs: TagRef, lazily: bool = False) -> Iterator[Snapshot]:
    """Read one state that knows every LSN the references name; `lazily` as `Tier.reading`.

    Raises:
        NotFound: the ledger has not got so far, so nobody knows what the tag will say then.
        ViewBehind: this replica has not; it waited.
        BufferAway: this replica has not, and cannot ask whether the ledger has.
    """
    asked = max((each.lsn or 0 for each in refs), default=0)
    if asked:
        tier.refuse_future(asked)
    streamed = tier.config.stream_tag
    of = streamed if any(each.name == streamed for each in refs) else None
    with tier.reading(max(fields.min_lsn(), asked), of=of, lazily=lazily) as snapshot:
        yield snapshot


def other(name: str) -> TagRef:
    """Return the tag that a query parameter names."""
    return fields.parsed(TagRef.parse, request.args[name], name)


def kind(told: object, field: str = "payload_type") -> PayloadTypeName:
    """Return a payload type by its name."""
    return fields.parsed(PayloadTypeName.parse, told, field)


def payload_list(told: object) -> ListName:
    """Return a payload list by its name."""
    return fields.parsed(ListName.parse, told, "payload_list")


def only() -> PayloadTypeName | None:
    """Return the one payload type that is asked for, None for all."""
    return kind(request.args["type"], "type") if "type" in request.args else None


def look() -> Look:
    """Return how a tag is to be looked over."""
    template = other("template") if "template" in request.args else None
    return Look(template, read_bytes=flag("read_bytes"))


def number(name: str) -> int:
    """Return a query parameter that is an LSN."""
    told = request.args[name]
    if not (told.isascii() and told.isdigit() and len(told) <= MAX_LSN_DIGITS):
        raise BadRequest(f"{name}: must be a number of at most 18 digits", field=name)
    return int(told)


def limit(most: int = PAGE) -> int:
    """Return how many a page may have, 1 to `most`; without a word as many as that."""
    told = request.args.get("limit", str(most))
    if not (told.isascii() and told.isdigit() and len(told) < 10 and 1 <= int(told) <= most):
        raise BadRequest(f"limit: must be a number from 1 to {most}", field="limit")
    return int(told)


def words(name: str) -> str:
    """Return a query parameter to search by or to go on after, "" without one."""
    told = request.args.get(name, "")
    if len(told) > MAX_SEARCH:
        raise BadRequest(f"{name}: must be at most {MAX_SEARCH} characters", field=name)
    return told


def flag(name: str, *, default: bool = False) -> bool:
    """Return whether a query parameter says yes: 1 or true, 0 or false."""
    told = request.args.get(name, "1" if default else "0")
    if told not in {"0", "1", "true", "false"}:
        raise BadRequest(f"{name}: must be 1 or 0", field=name)
    return told in {"1", "true"}


def state(told: object, allowed: frozenset[TagState] = frozenset(TagState)) -> TagState:
    """Return a tag's state by its name."""
    for known in allowed:
        if told == known:
            return known
    raise BadRequest(f"state: must be one of {', '.join(sorted(allowed))}", field="state")


def after() -> Moment | None:
    """Return the start, as MAJOR:MINOR, behind which the page begins."""
    told = request.args.get("after")
    if told is None:
        return None
    major, _, minor = told.partition(":")
    return fields.parsed(lambda parts: Moment.parse(*parts), (major, minor), "after")


def interval() -> Interval | None:
    """Return the interval of the query, None if it names none."""
    named = {"major", "minor", "major_end", "minor_end"}
    return fields.interval() if named & request.args.keys() else None


def asking(user: str | None = None) -> Asking:
    """Return who asks; who they say they are must be a name, whether it is heeded or not."""
    told = user or request.args.get("user", "anonymous")
    if not (0 < len(told) <= fields.MAX_USER and told.isprintable()):
        raise BadRequest(f"user: must be 1 to {fields.MAX_USER} printable characters", field="user")
    return fields.asking(told)


def plain(told: object, most: int) -> bool:
    """Return whether it is text of 1 to `most` characters without control characters."""
    return isinstance(told, str) and 0 < len(told) <= most and not _CONTROL.search(told)


def body(
    *known: str, needed: bool = True, most: int = bodies.MAX_JSON_BYTES, bounds: Bounds = SMALL
) -> dict[str, Any]:
    """Return the body's object; a field nobody knows is refused, for it was meant for something."""
    told = bodies.json_object(needed=needed, most=most, bounds=bounds)
    for name in told:
        if name not in known:
            raise BadRequest(
                f"{name[:60]}: is no field here; known: {', '.join(known)}", field=name[:60]
            )
    return told


def listed(told: dict[str, Any], field: str, most: int) -> list[object]:
    """Return a field that is an array of 1 to `most`."""
    sent = told.get(field)
    if not isinstance(sent, list) or not 0 < len(sent) <= most:
        raise BadRequest(f"{field}: must be an array of 1 to {most}", field=field)
    return sent


def optional(told: dict[str, Any], field: str, most: int = 10_000) -> str | None:
    """Return a string field; None where it is left out, null or empty."""
    if told.get(field) is None:
        return None
    return fields.text(told, field, most=most) or None


def fingerprint(told: dict[str, Any]) -> str | None:
    """Return the fingerprint that a body names, None if it names none."""
    mark = optional(told, "fingerprint")
    if mark is not None and not _FINGERPRINT.fullmatch(mark):
        raise BadRequest("fingerprint: must be 64 hexadecimal digits", field="fingerprint")
    return mark


def moment(told: object, field: str) -> Moment:
    """Return the moment of `[major, minor]`."""
    if not (isinstance(told, list) and len(told) == 2 and all(type(part) is int for part in told)):
        raise BadMoment(field, f"must be [major, minor], two integers from 0 to {LIMIT}")
    return fields.parsed(lambda parts: Moment(*parts), told, field)
