"""A payload's name: `sha256:<64 hex>`, parsed once: no path or URL is made of anything else."""

from __future__ import annotations

import hashlib
import re

from condstore.errors import UsageError

_WRITTEN = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


class Digest(str):
    """`sha256:<hex>`, known to be well formed."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Return the digest that `text` writes, with or without `sha256:`; raise `UsageError`."""
        found = _WRITTEN.fullmatch(text.strip().lower())
        if found is None:
            raise UsageError(f"{text!r} is not a digest: sha256: and 64 hexadecimal digits")
        return cls(f"sha256:{found[1]}")

    @classmethod
    def of(cls, content: bytes) -> Digest:
        """Return the digest of these bytes."""
        return cls(f"sha256:{hashlib.sha256(content).hexdigest()}")

    @property
    def hex(self) -> str:
        """The 64 hexadecimal digits."""
        return self.removeprefix("sha256:")

    @property
    def short(self) -> str:
        """Enough of it to tell payloads apart on a screen."""
        return self.hex[:12]
