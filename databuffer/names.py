"""The names that cross the edge: parsed once, here, so that inside a bad one cannot exist.

A name is a `str` that has been checked; nothing else may become part of a path or a ledger entry.
"""

from __future__ import annotations

import hashlib
import re
from typing import Self

from databuffer.errors import DigestMismatch, Malformed

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOCUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PAYLOAD_TYPE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+~-]{0,199}")
_ENTRY_TYPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_MAX_TEXT = 200


class Digest(str):
    """`sha256:<64 lowercase hex>`, the name of a blob."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a digest as written on the wire; raise `Malformed` for anything else."""
        if not _DIGEST.fullmatch(text):
            raise Malformed("a digest is sha256: and 64 lowercase hex digits", field="digest")
        return cls(text)

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Name these bytes."""
        return cls("sha256:" + hashlib.sha256(content).hexdigest())

    @classmethod
    def found(cls, name: str) -> Self | None:
        """Take the 64 digits that a file is named by; None for anything else."""
        text = f"sha256:{name}"
        return cls(text) if _DIGEST.fullmatch(text) else None

    def required(self, expected: Digest | None) -> Self:
        """Return it; raise `DigestMismatch` if another is expected."""
        if expected is not None and self != expected:
            raise DigestMismatch(f"the body hashes to {self}")
        return self

    @property
    def hex(self) -> str:
        """The 64 digits alone."""
        return self[7:]


class DocumentName(str):
    """The name of a small JSON document under `/state`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a name without a slash or a leading dot; raise `Malformed` for anything else."""
        if not cls.fits(text):
            raise Malformed(f"a name matches {_DOCUMENT.pattern}", field="name")
        return cls(text)

    @staticmethod
    def fits(text: str) -> bool:
        """Whether this can be the name of a document."""
        return _DOCUMENT.fullmatch(text) is not None


class PayloadTypeName(str):
    """What kind of payload a segment is, for strain its channel."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a payload type; raise `Malformed` for anything else."""
        if not _PAYLOAD_TYPE.fullmatch(text):
            raise Malformed(f"a payload type matches {_PAYLOAD_TYPE.pattern}", field="type")
        return cls(text)


class EntryType(str):
    """What a ledger entry says happened, such as `tag.created`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Self:
        """Take an entry type; raise `Malformed` for anything else."""
        if not isinstance(text, str) or not _ENTRY_TYPE.fullmatch(text):
            raise Malformed(f"an entry type matches {_ENTRY_TYPE.pattern}", field="type")
        return cls(text)


def parse_text(text: object, field: str, longest: int = _MAX_TEXT) -> str:
    """Take a short printable text, such as who acts or an idempotency key; raise `Malformed`."""
    if not isinstance(text, str) or not text or len(text) > longest or not text.isprintable():
        raise Malformed(f"{field} is a printable text of 1 to {longest} characters", field=field)
    return text
