"""A request's body, read within bounds: whole, piece by piece, or as the JSON it is.

Its Content-Type is not asked for, and nothing is unpacked. What breaks off is the sender's doing,
and never taken for a failure of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from flask import request
from gunicorn.http.errors import ParseException

from datastore_logic.errors import BadRequest, Encoded, TooLarge, TooSlow
from datastore_logic.serving import pace
from datastore_logic.web.bounds import DEPTH, SMALL, is_shallow, refuse_beyond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datastore_logic.web.bounds import Bounds

CHUNK: Final = 1 << 20
MAX_JSON_BYTES: Final = 1 << 20
MAX_BULK_BYTES: Final = 32 << 20


def whole(most: int) -> bytes:
    """Return the whole body, whatever type it claims to be.

    Raises:
        TooLarge: it has more than `most` bytes.
        TooSlow, BadRequest: it did not come, or not all of it.
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
        TooSlow, BadRequest: it did not come, or ended before the length it announced.
        Encoded: it is compressed.
    """
    _refuse_encoded()
    taken = 0
    while piece := _some(CHUNK):
        taken += len(piece)
        yield piece
    if request.content_length is not None and taken != request.content_length:
        raise BadRequest("The body ended early.")


def json_object(
    *, needed: bool = True, most: int = MAX_JSON_BYTES, bounds: Bounds = SMALL
) -> dict[str, Any]:
    """Return the body as a JSON object, whatever type it claims to be; `{}` if none is needed."""
    sent = whole(most)
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
