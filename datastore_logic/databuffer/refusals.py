"""What an answer of the databuffer means: what was agreed is read, anything else is an error.

A page where JSON was agreed is another service's, or a proxy's: then the databuffer is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from datastore_logic.errors import (
    BufferAway,
    BufferIsFrozen,
    BufferRefused,
    LogicError,
    LsnBeyondHead,
)

if TYPE_CHECKING:
    from datastore_logic.databuffer.answers import Answer

_FAILED: Final = frozenset({500, 502, 504})


def expect(answer: Answer) -> Answer:
    """Return a success as it is; raise what a failure means."""
    if answer.status < 300:
        return answer
    raise refusal(answer)


def refusal(answer: Answer) -> LogicError:
    """Return the error that an answer other than success means to our caller."""
    try:
        found = orjson.loads(answer.body)
        detail, code, field = str(found["detail"]), str(found["code"]), found.get("field")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return not_agreed(answer)
    if code == BufferIsFrozen.code:
        return BufferIsFrozen()
    if code == LsnBeyondHead.code:
        return LsnBeyondHead(detail)
    if answer.status in _FAILED:
        return BufferAway(detail)
    return BufferRefused(answer.status, detail, code, field=field)


def parsed(answer: Answer) -> object:
    """Return the JSON of an answer; raise BufferAway where it is none."""
    try:
        content: object = orjson.loads(answer.body)
    except orjson.JSONDecodeError as reason:
        raise not_agreed(answer) from reason
    return content


def told(answer: Answer, *fields: str) -> dict[str, Any]:
    """Return the JSON object of an answer; raise BufferAway where it lacks one of the fields."""
    found = parsed(answer)
    if not isinstance(found, dict) or not found.keys() >= set(fields):
        raise not_agreed(answer)
    return found


def not_agreed(answer: Answer) -> BufferAway:
    """Return the error of an answer that no databuffer gives."""
    return BufferAway(f"The databuffer answered {answer.status}, and not what was agreed.")
