"""What is written to the streaming buffer: a segment, that it is frozen, that it is cleaned.

The databuffer's entry is the commit, so nothing is decided here but whether the caller may.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from datastore_logic.databuffer.refusals import expect, refusal, told
from datastore_logic.view.buffer import FROZEN

if TYPE_CHECKING:
    from datastore_logic.databuffer.answers import Answer
    from datastore_logic.domain.tags import PayloadTypeName
    from datastore_logic.services.commit import Asking
    from datastore_logic.services.tier import Tier

BROKEN_VOLUME: Final = frozenset({500, 507})


@dataclass(frozen=True, slots=True)
class Stat:
    """How much the streaming buffer holds."""

    n_itm: int
    buff_size: int


def stream_segment(
    tier: Tier, body: bytes, payload_type: PayloadTypeName | None, *, asking: Asking
) -> Answer:
    """Store a segment as it came, unread, and return the databuffer's answer.

    Who reads the buffer's tag here will see it.

    Raises:
        Forbidden: the caller may not produce for the streaming buffer's tag.
        BufferIsFrozen: until the buffer is cleaned nothing is taken.
        DatabufferError: it was not stored, or nobody knows (OutcomeUnknown).
    """
    _refuse_write(tier, asking)
    answer = tier.buffer.send_segment(body, payload_type, asking.key)
    if answer.status != 201:
        raise refusal(answer)
    tier.acknowledged.note(answer.lsn)
    return answer


def freeze_when_full(tier: Tier, user: str, token: str, *, asking: Asking) -> Stat | None:
    """Freeze the buffer if it holds MAX_SIZE bytes or more and return what it holds; else None.

    One that is frozen already, by whomever, answers as if it had just been.

    Raises:
        Forbidden: the caller may not.
    """
    _refuse_write(tier, asking)
    if _stat(tier).buff_size < tier.config.max_size and not _is_frozen(tier):
        return None
    freeze(tier, asking.right.subject or user, token, asking.key)
    return _stat(tier)  # segments may have come in before the freeze


def freeze(tier: Tier, user: str, token: str, key: str | None) -> int:
    """Freeze the buffer for a caller who may, and return the LSN of its entry.

    Again is harmless. Whether it is frozen the databuffer knows: this view may not have heard of a
    cleaning yet.

    Raises:
        DatabufferError: it was not done, or nobody knows (OutcomeUnknown).
    """
    answer = expect(tier.buffer.freeze(orjson.dumps({"user": user, "token": token}), key))
    tier.see(answer.lsn)
    return answer.lsn


def clean(tier: Tier, *, asking: Asking) -> Answer:
    """Archive what the buffer holds and open it again. A failure of its volume is an answer.

    Raises:
        Forbidden: the caller may not.
        DatabufferError: it was not done, or nobody knows (OutcomeUnknown).
    """
    _refuse_write(tier, asking)
    answer = tier.buffer.clean(asking.key)
    if answer.status not in BROKEN_VOLUME:
        tier.see(expect(answer).lsn)
    return answer


def _refuse_write(tier: Tier, asking: Asking) -> None:
    """Do nothing where the caller may act on the streaming buffer, which is its tag.

    Raises:
        Forbidden, NotFound: they may not, or may not even know of it.
        LedgerTooNew: this replica would not show what they did.
    """
    asking.right.refuse_unless_on(tier.config.stream_tag)
    tier.database.position().refuse_if_halted()


def _is_frozen(tier: Tier) -> bool:
    return bool(told(expect(tier.buffer.description()), "dstatus")["dstatus"] == FROZEN)


def _stat(tier: Tier) -> Stat:
    found = told(expect(tier.buffer.stat()), "n_itm", "buff_size")
    return Stat(found["n_itm"], found["buff_size"])
