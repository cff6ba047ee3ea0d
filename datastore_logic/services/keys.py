"""The ledger keys of what is decided about: an append expects that none of them has moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

BUFFER_STATE: Final = "buffer/state"

_IOV_KEYS: Final = 1024


def tag_key(tag: str) -> str:
    """Return the key of a tag's state, and of which lists it has."""
    return f"tag/{tag}"


def list_key(list_id: int) -> str:
    """Return the key of a list's timeline, and of which tag has it."""
    return f"list/{list_id}"


def type_key(payload_type: str) -> str:
    """Return the key of a payload type, and of the making of its lists."""
    return f"type/{payload_type}"


def token_key(token_id: str) -> str:
    """Return the key of an API token."""
    return f"token/{token_id}"


def token_name_key(name: str) -> str:
    """Return the key of the making of API tokens of a name."""
    return f"token-name/{name}"


def list_keys(list_ids: Iterable[int]) -> tuple[str, ...]:
    """Return the keys of lists."""
    return tuple(map(list_key, list_ids))


def iov_key(iov_id: int) -> str:
    """Return the key of an IOV being attached: shared by many, so that keys do not pile up."""
    return f"iov/{iov_id % _IOV_KEYS}"
