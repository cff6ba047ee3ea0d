"""What a bundle says of itself: which content, from when to when, which types, what is proven."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from condstore.bundle.file import damaged, reading
from condstore.errors import NotInBundle, UsageError
from condstore.moments import Moment, interval, written
from condstore.results import HeldList, Tag, TagContent

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

PROVEN: Final = "fingerprint"
"""All of the tag was read when it was pulled, and gave its fingerprint."""

TOLD: Final = "told"
"""Only a part was read: what a server told, which the fingerprint does not prove."""


@dataclass(frozen=True, slots=True)
class About:
    """Content of `content`, for moments of [begin, end), of the payload types `pulled`.

    `lsn` is what answers reflect. `payloads` says where bytes are: `inside`, `beside` or `none`.
    """

    content: TagContent
    lsn: int
    begin: Moment
    end: Moment | None
    pulled: tuple[str, ...]
    proof: str
    payloads: str

    @property
    def reference(self) -> str:
        """`TAG@<fingerprint>`, what was pulled."""
        return self.content.tag.reference

    @property
    def whole(self) -> bool:
        """Whether it holds all moments and all types of the tag."""
        return self.begin == (0, 0) and self.end is None and len(self.pulled) == len(
            self.content.payload_lists
        )  # fmt: skip

    @property
    def range(self) -> str:
        """From when to when, for people."""
        return interval(self.begin, self.end)

    def __str__(self) -> str:
        """What it is of, for people."""
        types = "all types" if len(self.pulled) == len(self.content.payload_lists) else ", ".join(
            self.pulled
        )  # fmt: skip
        return (
            f"{self.reference} for {self.range}, {types}, payloads {self.payloads}, "
            f"proof {self.proof}"
        )

    def proven(self, proof: str) -> About:
        """Return the same with another proof."""
        return replace(self, proof=proof)

    def cover(self, moment: Moment) -> None:
        """Raise `NotInBundle` for a moment that it was not pulled for."""
        if moment < self.begin or (self.end is not None and moment >= self.end):
            raise NotInBundle(
                f"{written(moment)} is not in this bundle: it was pulled for {self.range}"
            )

    def cover_span(self, begin: Moment | None, end: Moment | None) -> None:
        """Raise `NotInBundle` unless all of [begin, end) is in it."""
        first = begin or Moment(0)
        if first < self.begin or (self.end is not None and (end is None or end > self.end)):
            raise NotInBundle(
                f"{interval(first, end)} is not all in this bundle: it was pulled for "
                f"{self.range}; ask for that"
            )


def write(connection: sqlite3.Connection, about: About) -> None:
    """Write it into `about` and `payload_list`, but for the seals."""
    told: dict[str, Any] = {
        "reference": about.reference,
        "tag": json.dumps(asdict(about.content.tag), ensure_ascii=False),
        "lsn": about.lsn,
        "begin": json.dumps(about.begin),
        "end": json.dumps(about.end),
        "proof": about.proof,
        "payloads": about.payloads,
    }
    rows = [(name, str(value)) for name, value in told.items()]
    connection.executemany("INSERT INTO about VALUES (?, ?)", rows)
    connection.executemany(
        "INSERT INTO payload_list VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (at, held.payload_type, held.name, held.payload_iovs, *_pair(held.begin),
             *_pair(held.end), int(held.payload_type in about.pulled))
            for at, held in enumerate(about.content.payload_lists, 1)
        ],
    )  # fmt: skip


def read(path: Path, connection: sqlite3.Connection) -> About:
    """Read it back; raise `DamagedBundle` for what nobody here writes, though its seals hold."""
    try:
        with reading(path):
            return _read(connection)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, UsageError) as error:
        why = f"what it says of itself is not understood: {type(error).__name__}"
        raise damaged(path, why) from error


def _read(connection: sqlite3.Connection) -> About:
    told = dict(connection.execute("SELECT name, value FROM about"))
    rows = connection.execute("SELECT * FROM payload_list ORDER BY list").fetchall()
    lists = tuple(
        HeldList(kind, name, count, _moment(*bounds[:2]), _moment(*bounds[2:]))
        for _, kind, name, count, *bounds, _ in rows
    )
    end = json.loads(told["end"])
    return About(
        content=TagContent(Tag.read(json.loads(told["tag"])), lists),
        lsn=int(told["lsn"]),
        begin=Moment.of(json.loads(told["begin"])),
        end=None if end is None else Moment.of(end),
        pulled=tuple(row[1] for row in rows if row[8]),
        proof=told["proof"],
        payloads=told["payloads"],
    )


def _pair(moment: Moment | None) -> tuple[int | None, int | None]:
    return (None, None) if moment is None else (moment.major, moment.minor)


def _moment(major: int | None, minor: int | None) -> Moment | None:
    return None if major is None or minor is None else Moment(major, minor)
