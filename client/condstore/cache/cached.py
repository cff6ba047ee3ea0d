"""A source with a cache before it: what cannot change is asked for once a node.

Kept on disk: payloads, and what was answered to `TAG@<fingerprint>`. In memory only: resolutions
of `TAG@<lsn>` (why: `answers`). Not at all: the plain `TAG`, lists of tags, and the payload IOVs of
a list, which who works with `since` and `until` has no need of.

A start-up storm, all jobs of a node asking the same thing in the same second: one asks, the others
wait a moment for its answer, at most `PATIENCE` seconds.
"""

from __future__ import annotations

import contextlib
import re
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

import orjson

from condstore.cache import codec
from condstore.cache.answers import Kept
from condstore.cache.recent import Recent, told_at
from condstore.errors import UnexpectedAnswer
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from condstore.cache.cache import Cache
    from condstore.digests import Digest
    from condstore.results import PayloadIOV, Resolution, Tag, TagContent
    from condstore.source import Source

T = TypeVar("T")

PATIENCE: Final = 2.0
"""Seconds for which another's question of the same kind is waited for."""

_FOREVER = re.compile(r"[^@]+@[0-9a-f]{64}")
_PINNED = re.compile(r"[^@]+@(?:[0-9a-f]{64}|[0-9]{1,19})")
_ALWAYS = Moment(0, 0)


class Cached:
    """The `Source` that asks `source` only for what `cache` has not."""

    def __init__(self, source: Source, cache: Cache) -> None:
        self._source = source
        self._cache = cache
        self._recent = Recent()

    @property
    def cache(self) -> Cache:
        """The cache before the source."""
        return self._cache

    def tags(self, search: str, state: str | None) -> tuple[Tag, ...]:
        """Ask the source: which tags there are is never the same for long."""
        return self._source.tags(search, state)

    def iovs(
        self, ref: str, payload_type: str, begin: Moment | None, end: Moment | None
    ) -> Iterator[PayloadIOV]:
        """Ask the source."""
        return self._source.iovs(ref, payload_type, begin, end)

    def tag(self, ref: str) -> TagContent:
        """Return a global tag and its payload lists; of frozen content the source is asked once."""
        if not _FOREVER.fullmatch(ref):
            return self._source.tag(ref)
        question = _question("tag", ref)
        found = self._kept(codec.tag_content, question, _ALWAYS)
        if found is not None:
            return found
        with self._alone(question, ref, _ALWAYS):
            found = self._kept(codec.tag_content, question, _ALWAYS)
            if found is None:
                found = self._source.tag(ref)
                self._keep(question, [Kept(_ALWAYS, None, codec.encoded(found))])
        return found

    def resolve(self, ref: str, moment: Moment, payload_type: str | None) -> Resolution:
        """Return what holds at a moment; of a pinned tag the source is asked at boundaries only."""
        if not _PINNED.fullmatch(ref):
            return self._source.resolve(ref, moment, payload_type)
        question = _question("one", ref, *([] if payload_type is None else [payload_type]))
        found = self._known(question, ref, moment)
        if found is not None:
            return found
        with self._alone(question, ref, moment):
            found = self._known(question, ref, moment)
            if found is None:
                found = self._source.resolve(ref, moment, payload_type)
                self._learn(question, ref, [found])
        return found

    def resolve_many(
        self, ref: str, moments: Sequence[Moment], payload_types: Sequence[str]
    ) -> tuple[Resolution, ...]:
        """Return what holds at each moment; the source is asked about those not known, at once."""
        if not _PINNED.fullmatch(ref):
            return self._source.resolve_many(ref, moments, payload_types)
        question = _question("many", ref, *payload_types)
        asked = dict.fromkeys(moments)
        known = {moment: self._known(question, ref, moment) for moment in asked}
        found = {moment: answer for moment, answer in known.items() if answer is not None}
        lacking = [moment for moment in asked if moment not in found]
        if lacking:
            answers = self._source.resolve_many(ref, lacking, payload_types)
            self._learn(question, ref, answers)
            found |= zip(lacking, answers, strict=True)
        return tuple(found[moment] for moment in moments)

    def pieces(self, digest: Digest) -> AbstractContextManager[Iterator[bytes]]:
        """Give a payload's bytes, from the cache or as they come; they are in it afterwards."""
        return self._cache.payloads.pieces(digest, lambda: self._source.pieces(digest))

    def open(self, digest: Digest) -> BinaryIO:
        """Open a payload, every byte verified before the first is given."""
        return self._cache.payloads.open(digest, lambda: self._source.pieces(digest))

    # -- answers ---------------------------------------------------------------------------------

    def _known(self, question: str, ref: str, moment: Moment) -> Resolution | None:
        found = self._recent.find(question, moment)
        if found is not None:
            self._cache.counts.add("answers_remembered")
        elif _FOREVER.fullmatch(ref):
            found = self._kept(codec.resolution, question, moment)
            if found is not None:
                found = told_at(found, moment)
                self._recent.keep(question, found)
        return found

    def _kept(self, read: Callable[[bytes], T], question: str, moment: Moment) -> T | None:
        """Return an answer from the directory; one that another version wrote is none."""
        body = self._cache.answers.find(question, moment)
        with contextlib.suppress(UnexpectedAnswer):
            found = None if body is None else read(body)
            self._cache.counts.add("answer_hits", found is not None)
            return found
        return None

    def _learn(self, question: str, ref: str, answers: Sequence[Resolution]) -> None:
        for answer in answers:
            self._recent.keep(question, answer)
        if _FOREVER.fullmatch(ref):
            different = {answer.since: answer for answer in answers}.values()
            self._keep(
                question, [Kept(one.since, one.until, codec.encoded(one)) for one in different]
            )

    def _keep(self, question: str, answers: list[Kept]) -> None:
        self._cache.counts.add("answer_misses", len(answers))
        self._cache.answers.keep(question, answers)

    @contextlib.contextmanager
    def _alone(self, question: str, ref: str, moment: Moment) -> Iterator[None]:
        """Be the only one of the node who asks this about this run, if that can be had soon."""
        with contextlib.ExitStack() as stack:
            if _FOREVER.fullmatch(ref):
                slot = zlib.crc32(f"{question} {moment.major}".encode()) & 0xFF
                with contextlib.suppress(OSError):
                    stack.enter_context(self._cache.folder.locked(f"asking-{slot:02x}", PATIENCE))
            yield


def _question(kind: str, ref: str, *payload_types: str) -> str:
    """Write what is asked of which tag, without the moment; the number is this text's version."""
    return orjson.dumps([1, kind, ref, *payload_types]).decode()
