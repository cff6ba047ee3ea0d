"""The part of `Client` for the streaming buffer: fill it, look at it, freeze it, flush it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from condstore.asking import Asking
from condstore.calls import Call, lsn_of
from condstore.errors import UnexpectedAnswer
from condstore.results import (
    Buffer,
    FreezeAsked,
    Json,
    Stored,
    Validity,
    newest_archive,
    parse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from condstore.segments import Segment

WAITING: Final = "Waiting for more incoming data."
"""What the twin says of a buffer that is not full enough to be frozen."""

_CREATED = 201


class Buffering(Asking):
    """Stream into the buffer and rule it."""

    def buffer(self) -> Buffer:
        """Return the buffer's counters and state."""
        server = self._server("the streaming buffer")
        stat, desc = (server.read(dict, path) for path in ("/bufstat", "/dsdesc"))
        return parse(lambda told: Buffer.read(told, desc), stat, server.url)

    def buffer_files(self) -> tuple[str, ...]:
        """Return the names of the buffer's files, in the order they came."""
        server = self._server("the buffer's files")
        return server.read(lambda answer: tuple(map(str, answer["nmlist"])), "/dumpf")

    def buffer_log(self) -> tuple[Mapping[str, Json], ...]:
        """Return a line a stored file: name, size in bytes, time."""
        return self._server("the buffer's log").read(
            lambda rows: tuple(map(dict, rows)), "/dumpflog"
        )

    def stream_segment(self, segment: Segment, *, period: str = "") -> Stored:
        """Stream one segment; the same one again is answered, not stored twice."""
        params = {"type": segment.payload_type}
        return self._store(Call("POST", "/stream", params, segment.body), segment.key(period))

    def stream_payload(
        self,
        content: bytes | Path,
        payload_type: str,
        validity: Validity,
        *,
        key: str | None = None,
    ) -> Stored:
        """Store any bytes as the payload of `payload_type` over an interval of validity."""
        server = self._server("streaming")
        params = {"type": payload_type, **validity.params()}
        call = server.signed(Call("POST", "/stream", params, content))
        return self._store(call, key)

    def freeze_buffer(self, user: str, token: str, *, key: str | None = None) -> FreezeAsked:
        """Freeze the buffer if it holds MAX_SIZE bytes, as the digital twin asks for it."""
        server = self._server("freezing the buffer")
        call = Call("POST", "/freezeds", json={"user": user, "token": token})
        response = server.write(call, key)
        if response.status_code == _CREATED:
            return server.value(FreezeAsked.done, response)
        if response.text.strip() != WAITING:
            raise UnexpectedAnswer(
                f"{server.url} said neither that the buffer is frozen nor that it waits for more; "
                "is another service on that port?"
            )
        return FreezeAsked(False, WAITING, None, None)

    def flush_buffer(self, *, key: str | None = None) -> Stored:
        """Archive the buffer's files and its tag, and open it again."""
        return self._store(Call("POST", "/flushbuf", body=b"{}"), key)

    def period(self, stream_tag: str) -> str:
        """Name the buffer's present filling by the newest tag a flush has archived ("": none)."""
        return newest_archive(self._source.tags(f"{stream_tag}-", None), stream_tag)

    def _store(self, call: Call, key: str | None = None) -> Stored:
        response = self._server("streaming").write(call, key)
        if response.status_code != _CREATED:
            raise UnexpectedAnswer(
                f"{response.url} answered {response.status_code} and did not say that it stored "
                "anything; is another service on that port?"
            )
        return Stored(response.text.strip(), lsn_of(response.headers))
