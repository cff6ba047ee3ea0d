"""What a checkpoint is: a copy of a view, packed and kept as a blob, and the document naming it.

The document is small and stands at the databuffer under a name of its own. It says of which ledger,
schema and stream tag the copy is and how far it goes, so that a replica can tell without the copy
whether it is of use. It is read as what anybody may have written: each field is parsed.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson

from datastore_logic.domain.errors import BadDigest
from datastore_logic.domain.tags import Digest

DOCUMENT: Final = "checkpoint"
"""The name of the document at the databuffer."""

FORMAT: Final = 1
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_MOST: Final = 2**63 - 1
_LONGEST: Final = 200


class Unfit(Exception):
    """There is no checkpoint that this view could begin with; says why."""


class Spoilt(Unfit):
    """The checkpoint is not what its document says, and never will be."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A view's state after entry `lsn`, whose hash is `hash`, kept as the blob `digest`.

    The blob has `size` bytes, the SQLite file that comes out of it `unpacked`, which the document
    calls `bytes`. `time` is when it was made, by the clock of the replica that made it.
    """

    ledger: str
    lsn: int
    hash: str
    schema: int
    stream_tag: str
    digest: Digest
    size: int
    unpacked: int
    time: str

    @classmethod
    def parse(cls, content: bytes) -> Checkpoint:
        """Read the document.

        Raises:
            Unfit: it is none that this version knows; names the field.
        """
        try:
            told = orjson.loads(content)
        except orjson.JSONDecodeError as reason:
            raise Unfit(f"the document {DOCUMENT} is not JSON") from reason
        if not isinstance(told, dict) or type(told.get("format")) is not int:
            raise Unfit(f"the document {DOCUMENT} is none of ours")
        if told["format"] != FORMAT:
            raise Unfit(f"the checkpoint is of format {told['format']}, not {FORMAT}")
        return cls(
            ledger=_text(told, "ledger"),
            lsn=_number(told, "lsn"),
            hash=_hash(told),
            schema=_number(told, "schema"),
            stream_tag=_text(told, "stream_tag"),
            digest=_digest(told),
            size=_number(told, "size", 1),
            unpacked=_number(told, "bytes", 1),
            time=_text(told, "time"),
        )

    def content(self) -> bytes:
        """Return the document."""
        return orjson.dumps({"format": FORMAT, **self.told(), "digest": self.digest})

    def told(self) -> dict[str, Any]:
        """Return what callers are told: all but the digest, by which the copy could be fetched."""
        told = asdict(self)
        del told["digest"]
        told["bytes"] = told.pop("unpacked")
        return told

    def is_of(self, ledger: str, schema: int, stream_tag: str) -> bool:
        """Return whether a view of this kind could begin with it, as far as it goes."""
        return (self.ledger, self.schema, self.stream_tag) == (ledger, schema, stream_tag)


def _number(told: dict[str, Any], name: str, least: int = 0) -> int:
    value = told.get(name)
    if type(value) is not int or not least <= value <= _MOST:
        raise _unreadable(name)
    return value


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if not (isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()):
        raise _unreadable(name)
    return value


def _hash(told: dict[str, Any]) -> str:
    value = _text(told, "hash")
    if not _HASH.fullmatch(value):
        raise _unreadable("hash")
    return value


def _digest(told: dict[str, Any]) -> Digest:
    try:
        return Digest.parse(told.get("digest"))
    except BadDigest as reason:
        raise _unreadable("digest") from reason


def _unreadable(name: str) -> Unfit:
    return Unfit(f"the document {DOCUMENT} has no {name} that can be")
