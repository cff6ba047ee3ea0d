"""Make a checkpoint: copy the view, store the copy as a blob, then have the document name it.

A process of its own copies and packs (view/copier.py), so that requests go first; the one that
asked for it passes the bytes on and waits. No lock is held that others wait for. A replica that is
killed in between leaves a blob that nothing names, which goes with the others of its kind.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from random import random
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

from datastore_logic.domain.tags import Digest
from datastore_logic.errors import BufferRefused, Conflict, ViewBuilding
from datastore_logic.view.checkpoint import DOCUMENT, Checkpoint, Unfit
from datastore_logic.view.database import SCHEMA_VERSION

if TYPE_CHECKING:
    from datastore_logic.databuffer.answers import Document
    from datastore_logic.databuffer.client import BufferClient
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.copying import Copy
    from datastore_logic.view.database import Position

ATTEMPTS: Final = 10
PAUSE: Final = 0.05
"""Seconds, times how often it has failed, that those who lost a race spread over."""

PATIENCE: Final = 300.0
"""Seconds that the databuffer may take to make a large blob durable."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """The checkpoint that stands now; `new` is False if it stood there before."""

    checkpoint: Checkpoint
    new: bool


def make_checkpoint(tier: Tier, position: Position) -> Made:
    """Have a checkpoint stand at the databuffer that is as new as the view at this position.

    Raises:
        CopyUnderWay: this pod makes one already.
        ScratchFull, CopyFailed, ViewBuilding: the view cannot be copied.
        Conflict: other replicas kept writing the document.
        LedgerTooNew: this replica is too old to say what entries come to.
        DatabufferError: it was not stored; MAX_BLOB_BYTES and a full volume among others.
    """
    position.refuse_if_halted()
    standing = _standing(tier.buffer.get_state(DOCUMENT))
    if standing is not None and _is_at(standing, position) and _is_of_use(tier, standing):
        return Made(standing, new=False)
    return _made(tier)


def _made(tier: Tier) -> Made:
    begun = monotonic()
    with tier.copies.one() as copy:
        checkpoint = _stored(tier.buffer, copy)
    standing = _announced(tier.buffer, checkpoint)
    with tier.database.applying() as view:
        view.execute("UPDATE link SET checkpoint_lsn = max(checkpoint_lsn, ?)", (standing.lsn,))
    words = "a checkpoint was made at LSN %d: %.1f MB, %.1f MB packed, %.1f s"
    megabytes, took = (checkpoint.unpacked / 1e6, checkpoint.size / 1e6), monotonic() - begun
    log.info(words, checkpoint.lsn, *megabytes, took)
    return Made(standing, new=standing is checkpoint)


def _stored(buffer: BufferClient, copy: Copy) -> Checkpoint:
    try:
        blob = buffer.store_blob(copy.pieces, None, patience=PATIENCE)
    except BufferRefused as reason:
        if reason.code != "too_large":
            raise
        words = "The view, packed, is larger than what the databuffer keeps: see MAX_BLOB_BYTES."
        raise BufferRefused(reason.status, words, reason.code) from reason
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return Checkpoint(
        *(copy.of.ledger, copy.of.lsn, copy.of.hash, SCHEMA_VERSION, copy.of.stream_tag),
        *(Digest.parse(blob.digest), blob.size, copy.of.bytes, now),
    )


def _announced(buffer: BufferClient, made: Checkpoint) -> Checkpoint:
    """Have the document name a checkpoint, unless it names a newer one; return which it names.

    Raises:
        ViewBuilding: the checkpoint is of a ledger that is no more.
        Conflict: others kept writing it.
    """
    for lost in range(1, ATTEMPTS + 1):
        document, head = buffer.get_state(DOCUMENT), buffer.head()
        if head.ledger != made.ledger:
            raise ViewBuilding("The ledger is another one by now; ask again shortly.")
        standing = _standing(document)
        if standing is not None and _is_newer(standing, made, head.lsn):
            return standing
        if buffer.put_state(DOCUMENT, made.content(), document):
            return made
        sleep(random() * PAUSE * lost)  # noqa: S311 - so that who lost together does not meet again
    raise Conflict("Other replicas kept naming their checkpoints; try again.")


def _standing(document: Document | None) -> Checkpoint | None:
    """Return the checkpoint that a document names; None if it names none that can be."""
    try:
        return None if document is None else Checkpoint.parse(document.content)
    except Unfit as reason:
        log.warning("the checkpoint that was there is of no use: %s", reason)
        return None


def _is_newer(standing: Checkpoint, made: Checkpoint, head_lsn: int) -> bool:
    """Whether the one that stands goes further on the same ledger; none goes beyond its head."""
    return standing.ledger == made.ledger and made.lsn < standing.lsn <= head_lsn


def _is_at(standing: Checkpoint, position: Position) -> bool:
    is_same = (standing.lsn, standing.hash) == (position.applied_lsn, position.hash)
    return is_same and standing.is_of(position.ledger, SCHEMA_VERSION, position.stream_tag)


def _is_of_use(tier: Tier, standing: Checkpoint) -> bool:
    """Whether it was never found bad here, and its blob is there."""
    if tier.database.distrusts(standing):
        return False
    found = tier.buffer.unsound([(standing.digest, standing.size)])
    return not (found.missing or found.resized)
