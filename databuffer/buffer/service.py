"""What the streaming buffer does: store a segment, freeze, clean.

The ledger entry is the commit. A segment is stored while holding the gate open, so that any number
are at once; freezing and cleaning close the gate, wait for those inside, and so know exactly what
the buffer held.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from databuffer.buffer.materialiser import Materialiser
from databuffer.buffer.recovery import read_state, repairing
from databuffer.buffer.segment import parse_segment
from databuffer.buffer.state import (
    CLEANED,
    FROZEN,
    NOBODY,
    SEGMENTS_KEY,
    STATE_KEY,
    STORED,
    BufferState,
    StoredFile,
)
from databuffer.errors import Frozen, KeyReused, VolumeFull
from databuffer.gate import Gate
from databuffer.names import Digest
from databuffer.store.lines import parse
from databuffer.store.protocols import NewEntry

if TYPE_CHECKING:
    from databuffer.buffer.files import BufferFiles
    from databuffer.buffer.segment import Segment
    from databuffer.gate import Places
    from databuffer.names import PayloadTypeName
    from databuffer.store.disk import Disk
    from databuffer.store.lines import Entry
    from databuffer.store.protocols import Appended, BlobStore, Ledger
    from databuffer.store.room import Room

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LARGE = 1 << 18


@dataclass(frozen=True, slots=True)
class Written:
    """A stored segment, as it is answered."""

    name: str
    size: int
    lsn: int


class StreamingBuffer:
    """The buffer over a ledger and a blob store: `open` before use."""

    def __init__(
        self,
        ledger: Ledger,
        blobs: BlobStore,
        files: BufferFiles,
        places: Places,
        disk: Disk,
        prefix: str,
        ledger_room: Room,
    ) -> None:
        self._ledger, self._blobs, self._places = ledger, blobs, places
        self._files, self._disk, self._prefix = files, disk, prefix
        self._ledger_room = ledger_room
        self._repair = repairing(files, blobs, disk)
        self._gate = Gate()
        self._last_name_ns = 0
        self.state = BufferState()

    async def open(self) -> None:
        """Read the state from the ledger and make the files agree with it."""
        self.state = await read_state(self._ledger)
        self._materialiser = Materialiser(self._files, self.state, self._repair, self._disk)
        try:
            await self._repair(self.state)
        except VolumeFull as error:  # reading must go on all the same
            self._materialiser.fell_behind(error)

    async def close(self) -> None:
        """Leave the files as they should be found."""
        await self._materialiser.close()

    @property
    def behind(self) -> bool:
        """Whether the files could not follow the ledger."""
        return self._materialiser.behind

    async def send(
        self,
        body: bytes,
        payload_type: PayloadTypeName,
        key: str | None,
        actor: str | None = None,
    ) -> Written:
        """Store a segment; raise `Malformed`, `Frozen`, `KeyReused`, or what the stores raise."""
        if key is not None and (first := await self._first(key, STORED)):
            return _as_first(first, await self._disk.run(Digest.of, body), payload_type)
        segment = await self._parse(body)
        async with self._gate.opened():
            self._refuse_when_frozen()
            await self._refuse_when_full()
            async with self._places.place():
                stored = await self._blobs.put(body)
            data = _described(segment, payload_type, stored.digest, len(body))
            return await self._commit(data, body, actor or NOBODY, key)

    async def freeze(self, user: str, token: str, key: str | None, actor: str | None = None) -> int:
        """Freeze the buffer; a frozen one stays as it is. Give the LSN that froze it.

        The entry's actor is the `user`, unless somebody verified who acts.
        """
        async with self._gate.closed():
            if key is not None and (first := await self._first(key, FROZEN)):
                return first.lsn
            if not self.state.frozen:
                data = {"user": user or NOBODY, "token": _hidden(token)}
                await self._append(FROZEN, data, actor or user or NOBODY, (STATE_KEY,), key)
                await self._materialiser.follow()
            return self.state.moved

    async def clean(self, key: str | None, actor: str | None = None) -> int:
        """Archive the files and open an empty buffer. Give the LSN of it."""
        async with self._gate.closed():
            if key is not None and (first := await self._first(key, CLEANED)):
                return first.lsn
            await self._require_followed()
            await self._disk.run(self._files.settle, list(self.state.files))
            name = await self._disk.run(self._files.free_archive_name, _archive_name())
            data = {"archive": name, **self.state.stat()}
            await self._append(CLEANED, data, actor or NOBODY, (STATE_KEY, SEGMENTS_KEY), key)
            await self._materialiser.follow()
            return self.state.moved

    async def catch_up(self) -> None:
        """Try again to make files agree that fell behind."""
        if self._materialiser.behind:
            async with self._gate.closed():
                await self._materialiser.follow()

    async def _require_followed(self) -> None:
        """Finish the last archive before there is another."""
        if self._materialiser.behind:
            await self._materialiser.follow()
        if self._materialiser.behind:
            raise VolumeFull("the buffer's files cannot be written")

    async def _parse(self, body: bytes) -> Segment:
        if len(body) < _LARGE:
            return parse_segment(body)
        return await self._disk.run(parse_segment, body)

    def _refuse_when_frozen(self) -> None:
        if self.state.frozen:
            raise Frozen("the buffer is frozen")

    async def _refuse_when_full(self) -> None:
        """Keep no blob on one volume that the ledger on another then cannot name."""
        if not self._ledger_room.ample:
            await self._disk.run(self._ledger_room.require)

    async def _commit(
        self, described: dict[str, Any], body: bytes, actor: str, key: str | None
    ) -> Written:
        name = self._next_name()
        data = {"name": name, **described}
        digest = described["digest"]
        appended = await self._append(STORED, data, actor, (SEGMENTS_KEY,), key)
        if appended.repeated:
            first = await self._entry(appended.lsn)
            return _as_first(first, digest, described["payload_type"])
        file = StoredFile(name, digest, len(body), appended.time)
        await self._materialiser.add(file, body)
        return Written(name, len(body), appended.lsn)

    async def _append(
        self, kind: str, data: dict[str, Any], actor: str, keys: tuple[str, ...], key: str | None
    ) -> Appended:
        """Append on condition that the buffer's status is the one known here; take it over.

        Inside the gate nothing can have moved it, for `buffer/` keys are this class's own; should
        that ever be wrong, the ledger refuses.
        """
        expect = {STATE_KEY: self.state.moved}
        entry = NewEntry(kind, actor, orjson.dumps(data), keys, expect, key)
        appended = await self._ledger.append(entry)
        if appended.repeated:
            _refuse_other(await self._entry(appended.lsn), kind)
        else:
            self.state.apply(appended.lsn, appended.time, kind, data)
        return appended

    async def _first(self, key: str, kind: str) -> Entry | None:
        lsn = await self._ledger.find(key)
        if lsn is None:
            return None
        entry = await self._entry(lsn)
        _refuse_other(entry, kind)
        return entry

    async def _entry(self, lsn: int) -> Entry:
        page = await self._ledger.read(lsn - 1, 1)
        return parse(page.lines.rstrip(b"\n"))

    def _next_name(self) -> str:
        """Give a name after every earlier one, also where the clock went back."""
        after = max(self.state.last_name_ns, self._last_name_ns)
        self._last_name_ns = max(time.time_ns(), after + 1)
        return f"{self._prefix}{self._last_name_ns}.json"


def _described(
    segment: Segment, payload_type: PayloadTypeName, digest: Digest, size: int
) -> dict[str, Any]:
    return {
        "payload_type": payload_type,
        "digest": digest,
        "size": size,
        "samples": segment.samples,
        "start": segment.start,
        "end": segment.end,
        "sample_ns": segment.sample_ns,
    }


def _refuse_other(entry: Entry, kind: str) -> None:
    if entry.type != kind:
        raise KeyReused("that idempotency key named another kind of request")


def _as_first(first: Entry, digest: Digest, payload_type: PayloadTypeName) -> Written:
    """Answer a repeat; raise `KeyReused` if it is none, lest a segment be taken for stored."""
    if (first.data["digest"], first.data["payload_type"]) != (digest, payload_type):
        raise KeyReused("that idempotency key named another segment")
    return Written(first.data["name"], first.data["size"], first.lsn)


def _hidden(token: str) -> str:
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()[:12]


def _archive_name() -> str:
    """Name the minute as the original does, in English whatever the locale: `Fri Nov 20 23:17`."""
    now = datetime.now(UTC)
    return f"{_DAYS[now.weekday()]} {_MONTHS[now.month - 1]} {now.day} {now:%H:%M}"
