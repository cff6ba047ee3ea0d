"""Many payload IOVs in one body: read into columns, each refusal naming the one it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from datastore_logic.domain.columns import Columns
from datastore_logic.domain.errors import BadInterval, BadMoment
from datastore_logic.domain.moment import LIMIT
from datastore_logic.domain.tags import Digest, PayloadTypeName
from datastore_logic.errors import BadRequest
from datastore_logic.services.goals import TagAndType
from datastore_logic.services.iovs import Wanted
from datastore_logic.web import fields
from datastore_logic.web.bounds import too_many_iovs
from datastore_logic.web.v1 import asked

if TYPE_CHECKING:
    from datastore_logic.domain.tags import TagName

KNOWN: Final = frozenset(
    {"payload_type", "start", "end", "name", "digest", "checksum", "size", "revision"}
)


def wanted(sent: object, tag: TagName, most: int) -> list[Wanted]:
    """Return what is to be inserted, by payload type, in the order it was sent.

    Raises:
        BadRequest, BadValue: naming `iovs[3].start`, or what else is wrong.
        TooLarge: there are more than `most`.
    """
    if not isinstance(sent, list) or not sent:
        raise BadRequest("iovs: must be an array of at least one payload IOV", field="iovs")
    if len(sent) > most:
        raise too_many_iovs(most, "iovs")
    kinds: dict[PayloadTypeName, list[tuple[Any, ...]]] = {}
    for number, told in enumerate(sent):
        if type(told) is not dict or not told.keys() <= KNOWN:
            raise _unknown(told, f"iovs[{number}]")
        kind = told.get("payload_type")
        if not isinstance(kind, str) or kind not in kinds:
            kind = asked.kind(kind, f"iovs[{number}].payload_type")
        kinds.setdefault(PayloadTypeName(kind), []).append(_row(told, f"iovs[{number}]"))
    return [Wanted(TagAndType(tag, kind), _columns(rows)) for kind, rows in kinds.items()]


def _row(told: dict[str, Any], where: str) -> tuple[Any, ...]:
    """Return one payload IOV, its values in the order that `_columns` takes."""
    start, end = _pair(told.get("start"), where, "start"), told.get("end")
    end = None if end is None else _pair(end, where, "end")
    if end is not None and end[0] == LIMIT:
        end = None  # the largest number is how some write an open end
    if end is not None and end <= start:
        words = f"{end[0]}:{end[1]} does not come after the start {start[0]}:{start[1]}"
        raise BadInterval(f"{where}.end", words)
    digest = told.get("digest")
    if digest is not None:
        digest = fields.parsed(Digest.parse, digest, f"{where}.digest")
    name = digest if told.get("name") is None else told["name"]
    if not asked.plain(name, fields.MAX_NAME):
        words = f"must be 1 to {fields.MAX_NAME} characters, no control character, or have a digest"
        raise BadRequest(f"{where}.name: {words}", field=f"{where}.name")
    checksum = told.get("checksum")
    if checksum is not None and not (
        isinstance(checksum, str) and len(checksum) <= fields.MAX_NAME
    ):
        words = f"must be a string of at most {fields.MAX_NAME} characters"
        raise BadRequest(f"{where}.checksum: {words}", field=f"{where}.checksum")
    numbers = (_number(told, "size", where), _number(told, "revision", where))
    return (*start, *(end or _OPEN), name, checksum, digest, *numbers)


_OPEN: Final = (None, None)


def _columns(rows: list[tuple[Any, ...]]) -> Columns:
    major, minor, end_major, end_minor, name, checksum, digest, size, revision = map(
        list, zip(*rows, strict=True)
    )
    return Columns(major, name, minor, end_major, end_minor, checksum, digest, size, revision)


def _pair(told: object, where: str, field: str) -> tuple[int, int]:
    match told:
        case [int() as major, int() as minor] if type(major) is type(minor) is int:
            if 0 <= major <= LIMIT and 0 <= minor <= LIMIT:
                return major, minor
    raise BadMoment(f"{where}.{field}", f"must be [major, minor], two integers from 0 to {LIMIT}")


def _number(told: dict[str, Any], field: str, where: str) -> int | None:
    value = told.get(field)
    if value is None or (type(value) is int and 0 <= value <= LIMIT):
        return value
    words = f"must be an integer from 0 to {LIMIT}, or null"
    raise BadRequest(f"{where}.{field}: {words}", field=f"{where}.{field}")


def _unknown(told: object, where: str) -> BadRequest:
    if type(told) is not dict:
        return BadRequest(f"{where}: must be an object", field=where)
    name = next(name for name in told if name not in KNOWN)[:60]
    known = ", ".join(sorted(KNOWN))
    return BadRequest(f"{where}.{name}: is no field here; known: {known}", field=f"{where}.{name}")
