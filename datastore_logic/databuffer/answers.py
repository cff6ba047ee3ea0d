"""What the databuffer answers, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse


@dataclass(frozen=True, slots=True)
class Answer:
    """What the databuffer said; `lsn` is the entry's (a write) or the head's (a read)."""

    status: int
    body: bytes
    lsn: int

    @classmethod
    def of(cls, response: BaseHTTPResponse) -> Answer:
        """Return what a response says; its LSN is 0 where it names none."""
        text = response.headers.get("X-Ledger-LSN", "0")
        return cls(response.status, response.data, int(text) if text.isdigit() else 0)


@dataclass(frozen=True, slots=True)
class Head:
    """Which ledger it is, and how far it goes."""

    ledger: str
    lsn: int
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """A stretch of the ledger: raw lines, and the ledger they are from."""

    head: Head
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A payload the databuffer holds; `created` is False if it held it before."""

    digest: str
    size: int
    created: bool


@dataclass(frozen=True, slots=True)
class Unsound:
    """Digests under which the databuffer has nothing, or another size (bytes) than was told."""

    missing: list[str]
    resized: dict[str, int]


@dataclass(frozen=True, slots=True)
class Document:
    """A small JSON document, and the ETag of this state of it."""

    content: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Link:
    """A URL by which whoever has it may read one payload until `expires`, seconds since 1970."""

    url: str
    expires: int
