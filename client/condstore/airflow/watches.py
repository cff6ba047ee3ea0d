"""What a sensor waits for, as values that one look decides; they go to a triggerer as plain JSON.

A server that does not answer is not looked at: whoever looks tries again later.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from condstore.airflow.covering import first_gap
from condstore.errors import NotFound, UsageError
from condstore.moments import Moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from condstore.airflow.connection import Store
    from condstore.client import Client
    from condstore.results import Json, TagContent
    from condstore.retry import Policy
    from condstore.transport import Timeouts


@dataclass(frozen=True, slots=True)
class Look:
    """How patiently one look asks."""

    policy: Policy
    timeouts: Timeouts


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look saw: whether the wait is over, in words, and what the sensor returns."""

    done: bool
    words: str
    value: Json = None


class Watch(Protocol):
    """Something to wait for; its fields are JSON."""

    KIND: ClassVar[str]

    def look(self, store: Store, how: Look) -> Seen:
        """Ask the store once; raises what the client raises."""
        ...


@dataclass(frozen=True, slots=True)
class BufferFilled:
    """The streaming buffer holds so many bytes, or is frozen and will hold no more.

    `url`, `stat` and `desc` lead to another service of the twin than the connection's.
    """

    KIND: ClassVar[str] = "buffer_filled"
    at_least: int
    url: str | None = None
    stat: str = "/bufstat"
    desc: str = "/dsdesc"

    def look(self, store: Store, how: Look) -> Seen:
        """Ask for the counters, and for the state while they are too low."""
        at = store.at(self.url)
        with contextlib.closing(at.server(how.policy, how.timeouts)) as server:
            size = server.read(lambda answer: int(answer["buff_size"]), self.stat)
            words = f"the buffer holds {size} bytes of {self.at_least}"
            if size >= self.at_least:
                return Seen(True, words, size)
            state = server.read(lambda answer: answer.get("resp") or answer["dstatus"], self.desc)
        return Seen(state == "FROZEN", f"{words}; {state}", size)


@dataclass(frozen=True, slots=True)
class TagFrozen:
    """A tag is frozen; one that does not exist yet is waited for."""

    KIND: ClassVar[str] = "tag_frozen"
    tag: str

    def look(self, store: Store, how: Look) -> Seen:
        """Ask for the tag; the value is `TAG@<fingerprint>`."""
        with store.client(how.policy, how.timeouts) as client:
            try:
                tag = client.tag(self.tag).tag
            except NotFound:
                return Seen(False, f"there is no tag {self.tag} yet")
        return Seen(tag.state == "frozen", f"{tag.name} is {tag.state}", tag.reference)


@dataclass(frozen=True, slots=True)
class TagCovers:
    """Every one of the payload types has a payload at each moment of [begin, end).

    Without types it is every type that the tag has, of which there must be one.
    """

    KIND: ClassVar[str] = "tag_covers"
    tag: str
    begin: str
    end: str
    payload_types: tuple[str, ...] = ()

    def look(self, store: Store, how: Look) -> Seen:
        """Ask about one state of the tag, named in the value: `TAG@<fingerprint or LSN>`."""
        begin, end = Moment.of(self.begin), Moment.of(self.end)
        if not begin < end:
            raise UsageError(f"[{self.begin}, {self.end}) is empty: give a begin before the end")
        with store.client(how.policy, how.timeouts) as client:
            try:
                content = client.tag(self.tag)
            except NotFound:
                return Seen(False, f"there is no tag {self.tag} yet")
            lacks = self._lacks(client, content, begin, end)
        reference = content.tag.reference
        covers = f"{reference} covers [{begin.pair()}, {end.pair()})"
        return Seen(not lacks, lacks or covers, reference)

    def _lacks(self, client: Client, content: TagContent, begin: Moment, end: Moment) -> str:
        """Return what is missing, in words: the ends of the lists tell the most at once."""
        held = {one.payload_type: one for one in content.payload_lists}
        wanted = self.payload_types or tuple(held)
        if not wanted:
            return f"{self.tag} has no payload types yet"
        for name in wanted:
            if name not in held:
                return f"{self.tag} has nothing of {name} yet"
            first, last = held[name].begin, held[name].end
            if first is None or begin < first:
                return f"{name} has nothing at {begin.pair()} yet"
            if last is not None and last < end:
                return f"{name} ends at {last.pair()}, before {end.pair()}"
        for name in wanted:
            iovs = client.iovs(content.tag.reference, name, begin, end)
            gap = first_gap(((iov.start, iov.end) for iov in iovs), begin, end)
            if gap is not None:
                return f"{name} has a gap from {gap[0].pair()} to {gap[1].pair()}"
        return ""


_KINDS: Final[Mapping[str, type[BufferFilled | TagFrozen | TagCovers]]] = {
    kind.KIND: kind for kind in (BufferFilled, TagFrozen, TagCovers)
}


def written(watch: BufferFilled | TagFrozen | TagCovers) -> dict[str, Json]:
    """Return a watch as JSON.

    >>> written(TagFrozen("O4"))
    {'kind': 'tag_frozen', 'tag': 'O4'}
    """
    return {"kind": watch.KIND, **dataclasses.asdict(watch)}


def read(told: Mapping[str, Json]) -> Watch:
    """Return the watch that `written` wrote.

    >>> read({"kind": "tag_covers", "tag": "O4", "begin": "1", "end": "2", "payload_types": ["B"]})
    TagCovers(tag='O4', begin='1', end='2', payload_types=('B',))
    """
    fields = {name: value for name, value in told.items() if name != "kind"}
    if "payload_types" in fields:
        fields["payload_types"] = tuple(fields["payload_types"])
    return _KINDS[told["kind"]](**fields)
