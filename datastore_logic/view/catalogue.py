"""Everything there is, as catalogues list it: all of it in order, by pages, or one of it.

A page is asked for in a caller's words. Only what a `Shelf` knows of them reaches the SQL, the rest
is bound; substrings are compared without regard to the case of ASCII letters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from datastore_logic.view.rows import BIRTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datastore_logic.view.database import Snapshot


class TagLine(NamedTuple):
    """A global tag with the counts that are kept."""

    id: int
    name: str
    author: str | None
    state: str
    list_count: int
    iov_count: int
    created: str
    updated: str
    lsn: int


class TypeLine(NamedTuple):
    """A payload type."""

    id: int
    name: str
    created: str


class ListLine(NamedTuple):
    """A payload list, with the tag it is in, if it is in one."""

    id: int
    name: str
    tag: str | None
    payload_type: str
    iov_count: int
    created: str
    tag_id: int | None
    type_id: int
    timeline_id: int


class IovLine(NamedTuple):
    """A payload IOV, with the list it is in, if it is in one."""

    id: int
    name: str
    checksum: str | None
    start_major: int
    start_minor: int
    end_major: int | None
    end_minor: int | None
    inserted: str
    payload_list: str | None
    tag: str | None
    payload_type: str | None
    list_id: int | None


Line = TypeVar("Line", bound=tuple[object, ...])


@dataclass(frozen=True, slots=True)
class Page:
    """Which page is asked for, from 1 on, and of what; unknown words are ignored."""

    number: int = 1
    size: int = 25
    search: str = ""
    sort: str = ""
    descending: bool = False
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shelf(Generic[Line]):
    """One kind of thing: a query of all of them, and the words by which some are asked for.

    `query` names its columns, and `sorts` and `filters` say which of them a caller's word means.
    `in_order` is the same query, planned for when all there is goes by id: millions of rows, none
    of which is sorted. `ties` is how those of one id follow each other.
    """

    line: Callable[..., Line]
    query: str
    search: tuple[str, ...]
    sorts: Mapping[str, str]
    filters: Mapping[str, str]
    in_order: str = ""
    ties: str = ""


_TAGS: Final = (
    "SELECT id, name, author, state, list_count, iov_count, created, updated, lsn FROM global_tag"
)
_TYPES: Final = "SELECT id, name, created FROM payload_type WHERE until_lsn IS NULL"
_LISTS: Final = (
    "SELECT l.id AS id, t.name || '_' || l.id AS name, g.name AS tag, t.name AS payload_type,"
    " l.iov_count AS iov_count, l.created AS created,"
    " l.tag_id AS tag_id, l.type_id AS type_id, l.timeline_id AS timeline_id"
    " FROM payload_list l JOIN payload_type t ON t.id = l.type_id"
    " LEFT JOIN global_tag g ON g.id = l.tag_id"
)
_BORN: Final = BIRTH.format(id="i.id")
_ATTACHED: Final = (
    "SELECT i.id AS id, i.name AS name, i.checksum, i.start_major AS start_major,"  # noqa: S608 - constants
    " i.start_minor AS start_minor, i.end_major AS end_major, i.end_minor AS end_minor,"
    f" {_BORN} AS inserted, t.name || '_' || l.id AS payload_list, g.name AS tag,"
    " t.name AS payload_type, l.id AS list_id FROM "
)
_BY_ID: Final = (
    f"{_ATTACHED} iov i INDEXED BY iov_by_id"
    " CROSS JOIN payload_list l ON l.timeline_id = i.timeline_id"
    " JOIN payload_type t ON t.id = l.type_id LEFT JOIN global_tag g ON g.id = l.tag_id"
)
_BY_LIST: Final = (
    f"{_ATTACHED} payload_list l JOIN payload_type t ON t.id = l.type_id"
    " LEFT JOIN global_tag g ON g.id = l.tag_id JOIN iov i ON i.timeline_id = l.timeline_id"
)
_LOOSE: Final = (
    "SELECT id, name, checksum, start_major, start_minor, end_major, end_minor, inserted,"
    " NULL, NULL, NULL, NULL FROM loose_iov"
)

TAGS: Final = Shelf(
    TagLine,
    _TAGS,
    ("name", "author"),
    {
        "id": "id", "name": "name", "author": "author", "status": "state",
        "payload_lists_count": "list_count", "payload_iov_count": "iov_count",
        "created": "created", "updated": "updated",
    },
    {"status": "state"},
)  # fmt: skip
TYPES: Final = Shelf(
    TypeLine, _TYPES, ("name",), {"id": "id", "name": "name", "created": "created"}, {}
)
LISTS: Final = Shelf(
    ListLine,
    _LISTS,
    ("name", "tag", "payload_type"),
    {
        "id": "id", "name": "name", "global_tag": "tag", "payload_type": "payload_type",
        "iov_count": "iov_count", "created": "created",
    },
    {"global_tag": "tag", "payload_type": "payload_type"},
)  # fmt: skip
IOVS: Final = Shelf(
    IovLine,
    f"{_BY_LIST} UNION ALL {_LOOSE}",
    ("name", "payload_list"),
    {
        "id": "id", "payload_url": "name", "checksum": "checksum", "inserted": "inserted",
        "major_iov": "start_major", "minor_iov": "start_minor",
        "comb_iov": "start_major{way}, start_minor", "payload_list": "payload_list",
        "major_iov_end": "coalesce(end_major, 9223372036854775807)",
        "minor_iov_end": "coalesce(end_minor, 9223372036854775807)",
        "global_tag": "tag", "payload_type": "payload_type",
    },
    {"payload_list": "payload_list", "global_tag": "tag", "payload_type": "payload_type"},
    f"{_BY_ID} UNION ALL {_LOOSE}",
    ", list_id",
)  # fmt: skip


def everything(snapshot: Snapshot, shelf: Shelf[Line], **having: object) -> Iterator[Line]:
    """Yield all there is by id; with columns given, what has those values there."""
    where = " AND ".join(f"{column} = ?" for column in having)
    query = _query(shelf, f" WHERE {where}" if where else "", "id")
    for columns in snapshot.connection.execute(query, tuple(having.values())):
        yield shelf.line(*columns)


def first(snapshot: Snapshot, shelf: Shelf[Line], **having: object) -> Line | None:
    """Return the first that has those values, None if none has."""
    return next(everything(snapshot, shelf, **having), None)


def browse(snapshot: Snapshot, shelf: Shelf[Line], page: Page) -> tuple[int, list[Line]]:
    """Return how many there are of what is asked for, and those of one page."""
    where, values = _condition(shelf, page)
    rows = snapshot.connection.execute(
        f"{_query(shelf, where, _order(shelf, page))} LIMIT ? OFFSET ?",
        (*values, page.size, (page.number - 1) * page.size),
    ).fetchall()
    counted = f"SELECT count(*) FROM ({shelf.query}){where}"  # noqa: S608 - columns are ours, values are bound
    query = _KEPT_COUNT if shelf is IOVS and not where else counted
    (count,) = snapshot.connection.execute(query, values).fetchone()
    return count, [shelf.line(*columns) for columns in rows]


def iovs_of(snapshot: Snapshot, held: ListLine) -> Iterator[IovLine]:
    """Yield the payload IOVs of a list, by start."""
    names = (held.name, held.tag, held.payload_type, held.id)
    for columns in snapshot.connection.execute(_OF_A_LIST, (held.timeline_id,)):
        yield IovLine._make((*columns, *names))


_OF_A_LIST: Final = (
    "SELECT i.id, i.name, i.checksum, i.start_major, i.start_minor, i.end_major, i.end_minor,"  # noqa: S608 - constants
    f" {_BORN} FROM iov i WHERE i.timeline_id = ? ORDER BY i.start_major, i.start_minor"
)
_KEPT_COUNT: Final = (
    "SELECT (SELECT coalesce(sum(iov_count), 0) FROM payload_list)"
    " + (SELECT count(*) FROM loose_iov)"
)


def _query(shelf: Shelf[Any], where: str, order: str) -> str:
    if shelf.in_order and not where and order.startswith("id"):
        return f"{shelf.in_order} ORDER BY {order}"
    return f"SELECT * FROM ({shelf.query}){where} ORDER BY {order}{shelf.ties}"  # noqa: S608 - columns are ours, values are bound


def _condition(shelf: Shelf[Any], page: Page) -> tuple[str, list[str]]:
    """Return the WHERE of a page and what is bound in it."""
    asked = {
        shelf.filters[word]: page.filters[word] for word in shelf.filters & page.filters.keys()
    }
    terms = [f"{column} = ?" for column in asked]
    bound = [*asked.values()]
    if page.search:
        terms.append(f"({' OR '.join(f'{c} LIKE ? ESCAPE char(92)' for c in shelf.search)})")
        bound += [f"%{_literal(page.search)}%"] * len(shelf.search)
    return (f" WHERE {' AND '.join(terms)}" if terms else ""), bound


def _order(shelf: Shelf[Any], page: Page) -> str:
    """Return the ORDER BY of a page; ties, and whatever is unknown, go by id."""
    way = " DESC" if page.descending else ""
    by = shelf.sorts.get(page.sort, "id").format(way=way)
    return f"id{way}" if by == "id" else f"{by}{way}, id{way}"


def _literal(text: str) -> str:
    """Return what LIKE finds this very text by."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
