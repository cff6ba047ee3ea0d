"""What the tables of payload IOVs have in common, as SQL."""

from __future__ import annotations

from typing import Final

COLUMNS: Final = (
    "start_major, start_minor, end_major, end_minor, name, checksum, digest, size, revision"
)
"""The columns of a `Bare` row, in its order."""

BIRTH: Final = "(SELECT time FROM birth WHERE first_id <= {id} ORDER BY first_id DESC LIMIT 1)"
"""When the payload IOV of an id came to be."""
