"""What a request of this contract says, forgiving what real clients send.

A body is JSON whatever its Content-Type says; none at all and `null` are an empty object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import request

from datastore_logic.domain.errors import BadMoment
from datastore_logic.domain.moment import LIMIT, Moment
from datastore_logic.domain.tags import TagState
from datastore_logic.domain.timeline import Payload, Row
from datastore_logic.errors import BadRequest
from datastore_logic.view.catalogue import Page
from datastore_logic.web import bodies, bounds, fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datastore_logic.services.commit import Asking
    from datastore_logic.web.bounds import Bounds
    from datastore_logic.web.cdb_rest.ends import Ends

PAGE_SIZE: Final = 25
MAX_PAGE_SIZE: Final = 1000
MAX_PAGE: Final = 10**9
MAX_WORDS: Final = 10_000


def told() -> dict[str, Any]:
    """Return the body's fields.

    Raises:
        BadRequest: it is neither a JSON object nor nothing.
    """
    sent = _json(bodies.MAX_JSON_BYTES)
    if sent is None:
        return {}
    if not isinstance(sent, dict):
        raise BadRequest("The body must be a JSON object.")
    return sent


def told_many(most: int) -> list[dict[str, Any]]:
    """Return the objects of a body that is an array of them.

    Raises:
        BadRequest: it is something else.
        TooLarge: it has more than `most`.
    """
    sent = _json(bodies.MAX_BULK_BYTES, bounds.of_iovs(most))
    if not isinstance(sent, list) or not all(isinstance(each, dict) for each in sent):
        raise BadRequest("The body must be a JSON array of objects.")
    if len(sent) > most:
        raise bounds.too_many_iovs(most)
    return sent


def text(sent: Mapping[str, Any], field: str, most: int = fields.MAX_NAME) -> str:
    """Return a string that must be there.

    Raises:
        BadRequest: naming the field.
    """
    value = sent.get(field)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise BadRequest(f"{field}: must be a string of 1 to {most} characters", field=field)
    return value


def optional_text(sent: Mapping[str, Any], field: str, most: int = fields.MAX_NAME) -> str | None:
    """Return a string that may be missing or null.

    Raises:
        BadRequest: naming the field.
    """
    value = sent.get(field)
    if value is not None and (not isinstance(value, str) or len(value) > most):
        raise BadRequest(f"{field}: must be a string of at most {most} characters", field=field)
    return value


def number(sent: Mapping[str, Any], field: str) -> int:
    """Return a number of 0 to 2^63-1, or of its decimal text, that must be there.

    Raises:
        BadRequest: naming the field.
    """
    if field not in sent:
        raise BadRequest(f"{field}: is needed", field=field)
    return _number(field, sent[field])


def optional_number(sent: Mapping[str, Any], field: str) -> int | None:
    """Return a number that may be missing or null.

    Raises:
        BadRequest: naming the field.
    """
    value = sent.get(field)
    return None if value is None else _number(field, value)


def payload_iov(sent: Mapping[str, Any], ends: Ends) -> Row:
    """Return the payload IOV that a body tells.

    Raises:
        BadRequest: naming the field.
    """
    name = text(sent, "payload_url")
    start = Moment(number(sent, "major_iov"), number(sent, "minor_iov"))
    major, minor = optional_number(sent, "major_iov_end"), optional_number(sent, "minor_iov_end")
    end = Moment(LIMIT if major is None else major, LIMIT if minor is None else minor)
    payload = Payload(
        name,
        text(sent, "checksum"),
        size=optional_number(sent, "size"),
        revision=optional_number(sent, "revision"),
    )
    return Row(ends.interval(name, start, end), payload)


def asking(author: str | None = None) -> Asking:
    """Return who asks; an author stands for them only where nobody is verified."""
    return fields.asking(author if author and author.isprintable() else None)


def known_id(text: str) -> int:
    """Return the id in a path, 0, which nothing has, for what is none."""
    return _counted(text, LIMIT)


def moment() -> Moment:
    """Return the moment of `majorIOV` and `minorIOV`.

    Raises:
        BadRequest: naming the parameter.
    """
    return Moment(number(request.args, "majorIOV"), number(request.args, "minorIOV"))


def state(name: object) -> TagState:
    """Return the status of that name.

    Raises:
        BadRequest: there is no such status.
    """
    known = [each.value for each in TagState]
    if name not in known:
        raise BadRequest("GlobalTagStatus not found: unlocked, locked or frozen.", field="status")
    return TagState(name)


def page() -> Page | None:
    """Return which page is browsed, None where `page` is not in the query."""
    query = request.args
    if "page" not in query:
        return None
    size = _counted(query.get("page_size", ""), MAX_PAGE_SIZE)
    return Page(
        number=_counted(query["page"], MAX_PAGE) or 1,
        size=size or PAGE_SIZE,
        search=query.get("search", ""),
        sort=query.get("sort", ""),
        descending=query.get("order") == "desc",
        filters={field: query[field] for field in query if query[field]},
    )


def _json(most: int, within: Bounds = bounds.SMALL) -> object:
    sent = bodies.whole(most)
    return bodies.from_json(sent, within) if sent.strip() else None


def _number(field: str, value: object) -> int:
    try:
        return Moment.parse(value).major
    except BadMoment as reason:
        detail = str(reason).partition(": ")[2]
        raise BadRequest(f"{field}: {detail}", field=field) from reason


def _counted(text: str, most: int) -> int:
    """Return a number from 1 to `most`, 0 for whatever is none."""
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return 0
    return min(int(text), most)
