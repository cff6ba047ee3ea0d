"""Operators on payloads: insert intervals, stream or put files, pull what jobs need offline."""

from __future__ import annotations

import asyncio
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.airflow.once import key_of
from condstore.airflow.operators.base import CondstoreOperator
from condstore.airflow.written import found, names, new_iov, payload_file, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow.sdk import Context

    from condstore.airflow.connection import Store
    from condstore.airflow.hook import Arguments
    from condstore.moments import When
    from condstore.producer import PayloadFile
    from condstore.results import Json, NewIOV


class InsertIOVOperator(CondstoreOperator):
    """Insert payload IOVs into a tag, all or none; return how many came to stand there.

    Each of `iovs` is a `NewIOV` or a mapping: `payload_type`, `start`, and what is known of `end`,
    `name`, `digest`, `checksum`, `size`, `revision`. Moments are written `1200`, `"1200:17"`,
    `"968654552.25"` or `[1200, 17]`. Without an end an IOV stops at the next start of its type. A
    template gives them as JSON.
    """

    template_fields: Sequence[str] = (*CondstoreOperator.template_fields, "tag", "iovs")

    def __init__(
        self, *, tag: str, iovs: Iterable[NewIOV | Mapping[str, Json]] | str, **kwargs: Arguments
    ) -> None:
        super().__init__(**kwargs)
        self.tag = tag
        self.iovs = iovs

    def act(self, store: Store, context: Context) -> dict[str, Json]:
        """Insert them; not again what an earlier try inserted, nor what stands there as written."""
        iovs = [new_iov(row) for row in rows(self.iovs)]
        key = key_of(context, self.tag, [iov.wire() for iov in iovs])
        done = store.client().insert_iovs(self.tag, iovs, key=key)
        self.log.info("%s: %d payload IOVs inserted, LSN %d", done.tag, done.inserted, done.lsn)
        return {"tag": done.tag, "inserted": done.inserted, "lsn": done.lsn}


class StreamFilesOperator(CondstoreOperator):
    """Stream files into the buffer, or put them into a tag; return what it came to.

    Into the buffer: `files` are paths or patterns of strain files and JSON segments, `channels`
    chooses among a file's series, `payload_type` renames the one. Each segment is stored once in a
    filling of the buffer, whoever streams it.

    Into a `tag`: `files` are mappings of `file`, `payload_type`, `start` and, where known, `end`,
    `name`, `checksum`. Only bytes that the store lacks are sent, and what would change no answer is
    not inserted.
    """

    template_fields: Sequence[str] = (
        *CondstoreOperator.template_fields,
        *("files", "payload_type", "channels", "tag"),
    )

    def __init__(
        self,
        *,
        files: Sequence[str | Path | Mapping[str, Json]] | str | Path,
        tag: str | None = None,
        payload_type: str | None = None,
        channels: Sequence[str] = (),
        in_flight: int = 16,
        **kwargs: Arguments,
    ) -> None:
        super().__init__(**kwargs)
        self.files = files
        self.tag = tag
        self.payload_type = payload_type
        self.channels = channels
        self.in_flight = in_flight

    def act(self, store: Store, context: Context) -> dict[str, Json]:
        """Stream or put them all."""
        given = [self.files] if isinstance(self.files, str | Path) else list(self.files)
        if self.tag is None:
            return self._stream(store, list(found(given)))
        return self._put(store, self.tag, [payload_file(row) for row in given])

    def _stream(self, store: Store, paths: list[Path]) -> dict[str, Json]:
        from condstore import streaming  # noqa: PLC0415 - as in Store.producer

        producer = store.producer(self.in_flight)
        work = (streaming.work(path, self.payload_type, names(self.channels)) for path in paths)
        report = asyncio.run(producer.stream(chain.from_iterable(work)))
        self.log.info("%d files: %s", len(paths), report)
        return {"files": len(paths), "segments": report.segments, "lsn": report.lsn}

    def _put(self, store: Store, tag: str, files: list[PayloadFile]) -> dict[str, Json]:
        report = asyncio.run(store.producer(self.in_flight).put(tag, files))
        self.log.info("%s", report)
        return {"files": report.files, "inserted": report.inserted, "lsn": report.lsn}


class PullBundleOperator(CondstoreOperator):
    """Pull a frozen tag into an offline bundle at `path`; return the path.

    For [begin, end) and some payload types, or for all. The same bundle again is left as it is,
    another file of that name is replaced with `force` only. `payloads`: True puts their bytes
    inside, a directory beside it, False leaves them out.
    """

    template_fields: Sequence[str] = (
        *CondstoreOperator.template_fields,
        *("ref", "path", "begin", "end", "payload_types", "payloads"),
    )

    def __init__(
        self,
        *,
        ref: str,
        path: str | Path,
        begin: When | None = None,
        end: When | None = None,
        payload_types: Sequence[str] = (),
        payloads: bool | str | Path = True,
        force: bool = False,
        **kwargs: Arguments,
    ) -> None:
        super().__init__(**kwargs)
        self.ref = ref
        self.path = path
        self.begin = begin
        self.end = end
        self.payload_types = payload_types
        self.payloads = payloads
        self.force = force

    def act(self, store: Store, context: Context) -> str:
        """Pull it, or see that it was pulled."""
        pulled = store.client().pull(
            self.ref,
            Path(self.path),
            begin=self.begin,
            end=self.end,
            payload_types=names(self.payload_types),
            payloads=self.payloads,
            force=self.force,
        )
        self.log.info("%s holds %s (%d payloads)", pulled.path, pulled.reference, pulled.payloads)
        return str(pulled.path)
