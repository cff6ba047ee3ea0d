"""Between HTTP and values: what a request says, and how an answer is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from flask import Response, request
from gunicorn.http.errors import ParseException

from datastore_logic.access.caller import caller
from datastore_logic.domain.errors import BadInterval, BadMoment, BadValue
from datastore_logic.domain.moment import LIMIT, Interval, Moment
from datastore_logic.errors import BadRequest, Encoded, NotFound, TooLarge, TooSlow
from datastore_logic.services.commit import Asking
from datastore_logic.serving import pace
from datastore_logic.view.requests import OWN_KEY
from datastore_logic.web.bounds import DEPTH, SMALL, is_shallow, refuse_beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot
    from datastore_logic.web.bounds import Bounds

Value = TypeVar("Value")

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
CHUNK: Final = 1 << 20
MAX_JSON_BYTES: Final = 1 << 20
MAX_BULK_BYTES: Final = 32 << 20
MAX_NAME: Final = 1000
MAX_USER: Final = 200
_MAX_KEY: Final = 200


# what a request says ----------------------------------------------------------------------------


def body(most: int) -> bytes:
    """Return the whole body, whatever type it claims to be.

    Raises:
        TooLarge: it has more than `most` bytes.
        Encoded: it is compressed.
    """
    _refuse_encoded()
    if (request.content_length or 0) > most:
        raise TooLarge(f"The body is larger than {most} bytes.")
    read = _some(most + 1)
    while len(read) <= most and (more := _some(most + 1 - len(read))):
        read += more
    if len(read) > most:
        raise TooLarge(f"The body is larger than {most} bytes.")
    if request.content_length is not None and len(read) != request.content_length:
        raise BadRequest("The body ended early.")
    return read


def chunks() -> Iterator[bytes]:
    """Yield the body piece by piece.

    Raises:
        BadRequest: it ended before the length it announced, or is compressed.
    """
    _refuse_encoded()
    taken = 0
    while piece := _some(CHUNK):
        taken += len(piece)
        yield piece
    if request.content_length is not None and taken != request.content_length:
        raise BadRequest("The body ended early.")


def _refuse_encoded() -> None:
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise Encoded("Bodies are taken as they are: without Content-Encoding.")


def _some(size: int) -> bytes:
    """Return up to `size` bytes of the body.

    A sender whose connection breaks is not to be taken for the databuffer breaking off, nor for
    our failure: so its OSError goes no further.
    """
    try:
        return request.stream.read(size)
    except pace.TooSlow as reason:
        raise TooSlow("The body did not come in time; see MIN_BODY_RATE.") from reason
    except OSError as reason:  # gunicorn's own "no more data" is one, too
        raise BadRequest("The body ended early.") from reason
    except ParseException as reason:
        raise BadRequest(f"The body is not chunked as it says: {reason}") from reason


def json_object(
    *, needed: bool = True, most: int = MAX_JSON_BYTES, bounds: Bounds = SMALL
) -> dict[str, Any]:
    """Return the body as a JSON object, whatever type it claims to be; `{}` if none is needed."""
    sent = body(most)
    if needed and not sent:
        raise BadRequest("A body is needed: a JSON object.")
    told = from_json(sent, bounds) if sent else {}
    if not isinstance(told, dict):
        raise BadRequest("The body must be a JSON object.")
    return told


def from_json(sent: bytes, bounds: Bounds = SMALL) -> object:
    """Return what a body says.

    Raises:
        BadRequest: it is not JSON, or nested too deep.
        TooLarge: it holds more values than it may.
    """
    refuse_beyond(bounds, sent)
    is_deep = not is_shallow(sent)  # or its brackets do not match, which is told better below
    try:
        told: object = orjson.loads(sent)
    except orjson.JSONDecodeError as reason:
        raise BadRequest(f"The body is not JSON: {reason}") from reason
    if is_deep:
        raise BadRequest(f"The body is nested deeper than {DEPTH}.")
    return told


def text(told: dict[str, Any], field: str, default: str | None = None, most: int = 10_000) -> str:
    """Return a string field; without a default it must be there."""
    value = told.get(field, default)
    if not isinstance(value, str) or len(value) > most:
        raise BadRequest(f"{field}: must be a string of at most {most} characters", field=field)
    return value


def moment(major: str = "major", minor: str = "minor") -> Moment:
    """Return the moment of two query parameters; `minor` may be left out for 0.

    Raises:
        BadMoment: naming the parameter.
    """
    if major not in request.args:
        raise BadRequest(f"{major}: is needed", field=major)
    try:
        return Moment.parse(request.args[major], request.args.get(minor, "0"))
    except BadMoment as reason:
        raise _about(reason, {"major": major, "minor": minor}[reason.field]) from reason


def parsed(parse: Callable[[Any], Value], value: object, field: str) -> Value:
    """Return `parse(value)`; what it refuses is told of the field it came in."""
    try:
        return parse(value)
    except BadValue as reason:
        raise _about(reason, field) from reason


def interval() -> Interval:
    """Return the interval of major, minor and, unless it is open, major_end, minor_end."""
    if "major_end" not in request.args:
        if "minor_end" in request.args:
            raise BadRequest("major_end: is needed where minor_end is given", field="major_end")
        return Interval(moment())
    start, end = moment(), moment("major_end", "minor_end")
    try:
        return Interval(start, None if end.major == LIMIT else end)
    except BadInterval as reason:
        raise _about(reason, "major_end") from reason


def logical_name() -> str | None:
    """Return the payload's logical name, if the query gives one."""
    name = request.args.get("name")
    if name is not None and not (0 < len(name) <= MAX_NAME and name.isprintable()):
        raise BadRequest(f"name: must be 1 to {MAX_NAME} printable characters", field="name")
    return name


def actor(said: str | None) -> str:
    """Return who asks: the verified subject; where nobody is verified, who they say they are."""
    if (subject := caller().subject) is not None:
        return subject
    user = said or request.args.get("user", "")
    return user if 0 < len(user) <= MAX_USER and user.isprintable() else "anonymous"


def idempotency_key() -> str | None:
    """Return the caller's idempotency key."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and key.startswith(OWN_KEY):
        raise BadRequest(
            f"Idempotency-Key must not begin with {OWN_KEY}, as this service's own do."
        )
    if key is not None and not (0 < len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
        raise BadRequest(f"Idempotency-Key must be 1 to {_MAX_KEY} printable ASCII characters.")
    return key


def asking(said: str | None = None, *, keyed: bool = True) -> Asking:
    """Return who asks (by their own word only where nobody is verified), their right, their key."""
    return Asking(actor(said), caller().right, idempotency_key() if keyed else None)


def min_lsn() -> int:
    """Return the LSN that the answer must reflect at least, 0 for any."""
    told = request.headers.get("X-Min-LSN", "0")
    if not (told.isascii() and told.isdigit() and len(told) < 20):
        raise BadRequest("X-Min-LSN must be a number.", field="X-Min-LSN")
    return int(told)


def refuse_future(tier: Tier, lsn: int) -> None:
    """Refuse an LSN that the ledger has not got to: nobody knows what will be said there.

    Raises:
        NotFound: it has not.
        BufferAway: this replica has not seen it, and cannot ask whether the ledger has.
    """
    if not lsn:
        return  # nothing is asked of the view, which takes longer than the rest of an answer
    if lsn > tier.database.position().applied_lsn and lsn > (head := tier.buffer.head().lsn):
        raise NotFound("lsn", f"{lsn}; the ledger's last is {head}")


# how an answer is written -----------------------------------------------------------------------


def answer(
    content: object, status: int = 200, *, lsn: int | None = None, away: bool = False
) -> Response:
    """Return JSON; `lsn` is what it reflects, or the entry it made."""
    return _with_lsn(Response(orjson.dumps(content), status, mimetype=JSON), lsn, away=away)


def plain(content: str | bytes, status: int = 200, *, lsn: int | None = None) -> Response:
    """Return text."""
    return _with_lsn(Response(content, status, content_type=TEXT), lsn)


def revalidated(content: object, snapshot: Snapshot, tag_lsn: int) -> Response:
    """Return JSON that holds until the tag is touched again; 304 to who has it already.

    Who does not see everything is not taken for another who sees other tags.
    """
    position, sight = snapshot.position, snapshot.sight
    etag = f"{position.ledger[:12]}-{tag_lsn}"
    response = _cached(content, etag if sight is None else f"{etag}-{sight.mark}", "no-cache")
    response.headers["X-Ledger-Id"] = position.ledger
    return _with_lsn(response, snapshot.lsn, away=not position.reachable)


def immutable(content: object, fingerprint: str) -> Response:
    """Return JSON about frozen content named by its fingerprint: it holds for ever.

    It says nothing of this replica, for caches give it to others a year later.
    """
    return _cached(content, fingerprint, "public, max-age=31536000, immutable")


def as_it_is(content: object, snapshot: Snapshot) -> Response:
    """Return JSON that depends on more than the view: its ETag is of what it says."""
    response = answer(content, lsn=snapshot.lsn, away=not snapshot.position.reachable)
    response.add_etag(weak=True)
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


def _cached(content: object, etag: str, cache_control: str) -> Response:
    headers = [("ETag", f'W/"{etag}"'), ("Cache-Control", cache_control)]
    response = Response(orjson.dumps(content), headers=headers, content_type=JSON)
    if "If-None-Match" in request.headers:
        response.make_conditional(request)
    return response


def _with_lsn(response: Response, lsn: int | None, *, away: bool = False) -> Response:
    if lsn is not None:
        response.headers["X-Ledger-LSN"] = str(lsn)
    if away:
        response.headers["X-Databuffer"] = "away"
    return response


def _about(reason: BadValue, field: str) -> BadValue:
    """Return the same refusal, of the field as the caller knows it."""
    return type(reason)(field, str(reason).partition(": ")[2])
