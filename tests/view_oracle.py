"""The conditions database in plain dictionaries: what tags and lists hold after each entry.

No timeline is shared and nothing is indexed; every state is kept whole. What the view answers for
any LSN is compared with it.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ledger_view import change

from datastore_logic.domain import fingerprint, timeline
from datastore_logic.domain.events import (
    ListAttached,
    ListCreated,
    ListDetached,
    TagChanged,
    TagCloned,
    TagCreated,
    TagDeleted,
    TagFreezeProposed,
    TagFreezeWithdrawn,
    TagFrozen,
    TimelinesChanged,
    TokenMade,
    TokenRevoked,
)
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import TagName, TagRef, TagState, TokenName
from datastore_logic.domain.timeline import Attach, Detach, Payload, Row, Trim

if TYPE_CHECKING:
    from random import Random

KINDS = ("Beam", "Field", "Temp")
NAMES = ("A", "B", "C")

Held = dict[str, tuple[Row, ...]]


@dataclass
class Tag:
    """A tag: its state, its fingerprint while it is frozen, and the id of its list of each type.

    `proposal` is the LSN at which its freezing was proposed, and the fingerprint, while it is open.
    """

    state: TagState = TagState.UNLOCKED
    fingerprint: str | None = None
    lists: dict[str, int] = field(default_factory=dict)
    proposal: tuple[int, str] | None = None


class Oracle:
    """Does random things and remembers everything; each method returns the event of what it did."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.tags: dict[str, Tag] = {}
        self.lists: dict[int, tuple[str, tuple[Row, ...]]] = {}
        self.made = 0
        self.past: list[dict[str, tuple[TagState, Held]]] = [{}]
        self.proposed: list[dict[str, tuple[int, str]]] = [{}]
        self.frozen: dict[TagRef, Held] = {}
        self.tokens: dict[str, bool] = {}

    def step(self) -> Any:
        """Do one thing and return its event."""
        acts = [
            *(self._insert,) * 6, self._delete_iov, self._clone, self._clone, self._freeze,
            self._unfreeze, self._delete_tag, self._detach, self._attach, self._make_list,
            self._make_token, self._revoke_token, self._lock_or_unlock,
            *(self._propose,) * 4, self._withdraw,
        ]  # fmt: skip
        before = self._contents()
        event = None
        while event is None:
            event = self.rng.choice([self._create, *acts] if self.tags else [self._create])()
        self._lapse(before)
        self.past.append({name: (tag.state, self.holds(name)) for name, tag in self.tags.items()})
        self.proposed.append({name: t.proposal for name, t in self.tags.items() if t.proposal})
        return event

    def _contents(self) -> dict[str, list[tuple[int, tuple[Row, ...]]]]:
        return {
            name: [(at, self.lists[at][1]) for _, at in sorted(tag.lists.items())]
            for name, tag in self.tags.items()
        }

    def _lapse(self, before: dict[str, list[tuple[int, tuple[Row, ...]]]]) -> None:
        """End the proposals for tags that hold something else than before, or are frozen."""
        for name, content in self._contents().items():
            if content != before.get(name, content) or self.tags[name].state is TagState.FROZEN:
                self.tags[name].proposal = None

    def holds(self, name: str) -> Held:
        """Return the rows of each type of a tag."""
        return {kind: self.lists[at][1] for kind, at in self.tags[name].lists.items()}

    # ----------------------------------------------------------------------------------------

    def _open_tag(self) -> str | None:
        names = [name for name, tag in self.tags.items() if tag.state is TagState.UNLOCKED]
        return self.rng.choice(names) if names else None

    def _thawed_tag(self) -> str | None:
        names = [name for name, tag in self.tags.items() if tag.state is not TagState.FROZEN]
        return self.rng.choice(names) if names else None

    def _free_name(self) -> str | None:
        names = [name for name in NAMES if name not in self.tags]
        return self.rng.choice(names) if names else None

    def _new_list(self, kind: str, rows: tuple[Row, ...] = ()) -> int:
        self.made += 1
        self.lists[self.made] = (kind, rows)
        return self.made

    def _create(self) -> TagCreated | None:
        if (name := self._free_name()) is None:
            return None
        self.tags[name] = Tag()
        return TagCreated(TagName(name))

    def _insert(self) -> TimelinesChanged | None:
        """Insert one or two IOVs of one type, in the tag or in a list of no tag."""
        if (name := self._open_tag()) is None:
            return None
        kind, tag = self.rng.choice(KINDS), self.tags[name]
        known = tag.lists.get(kind)
        list_id = known or self._new_list(kind)
        tag.lists[kind] = list_id
        rows = self.lists[list_id][1]
        begin = self.rng.randrange(12)
        end = None if self.rng.random() < 0.3 else Moment(begin + self.rng.randrange(1, 6))
        named = Payload(f"n{len(self.past)}", self.rng.choice([None, "sum"]))
        done = timeline.insert(rows, Row(Interval(Moment(begin), end), named), TagState.UNLOCKED)
        self.lists[list_id] = (kind, timeline.apply(rows, done))
        told = change(
            kind,
            name,
            *(one.row for one in done if isinstance(one, Attach)),
            list_id=known,
            detached=[one.start.major for one in done if isinstance(one, Detach)],
            trimmed=[(one.start.major, one.end.major) for one in done if isinstance(one, Trim)],
        )
        return TimelinesChanged((told,))

    def _delete_iov(self) -> TimelinesChanged | None:
        if (name := self._open_tag()) is None:
            return None
        some = [(kind, at) for kind, at in self.tags[name].lists.items() if self.lists[at][1]]
        if not some:
            return None
        kind, list_id = self.rng.choice(some)
        rows = list(self.lists[list_id][1])
        gone = rows.pop(self.rng.randrange(len(rows)))
        self.lists[list_id] = (kind, tuple(rows))
        start = gone.interval.start.major
        return TimelinesChanged((change(kind, name, list_id=list_id, deleted=[start]),))

    def _clone(self) -> TagCloned | None:
        """Clone a tag as it is, as it was frozen, or as it stood."""
        if (name := self._free_name()) is None:
            return None
        source, held = self.rng.choice(self._sources())
        self.tags[name] = Tag()
        for kind in sorted(held):
            self.tags[name].lists[kind] = self._new_list(kind, held[kind])
        return TagCloned(
            source.name, TagName(name), source_fingerprint=source.fingerprint, source_lsn=source.lsn
        )

    def _sources(self) -> list[tuple[TagRef, Held]]:
        now = [(TagRef(TagName(name)), self.holds(name)) for name in self.tags]
        lsn = self.rng.randrange(len(self.past))
        then = [
            (TagRef(TagName(name), lsn=lsn), held) for name, (_, held) in self.past[lsn].items()
        ]
        return [*now, *then, *self.frozen.items()]

    def _propose(self) -> TagFreezeProposed | None:
        """Propose a freeze, also where one is proposed already."""
        if (name := self._thawed_tag()) is None:
            return None
        mark = self.fingerprint(name)
        self.tags[name].proposal = (len(self.past), mark)
        return TagFreezeProposed(TagName(name), mark, made_by=self.rng.choice([None, "root"]))

    def _withdraw(self) -> TagFreezeWithdrawn | None:
        names = [name for name, tag in self.tags.items() if tag.proposal]
        if not names:
            return None
        name = self.rng.choice(names)
        self.tags[name].proposal = None
        return TagFreezeWithdrawn(TagName(name), "a reason")

    def _lock_or_unlock(self) -> TagChanged | None:
        if (name := self._thawed_tag()) is None:
            return None
        tag = self.tags[name]
        is_open = tag.state is TagState.UNLOCKED
        tag.state = TagState.LOCKED if is_open else TagState.UNLOCKED
        return TagChanged(TagName(name), tag.state)

    def _freeze(self) -> TagFrozen | None:
        if (name := self._thawed_tag()) is None:
            return None
        mark = self.fingerprint(name)
        self.tags[name].state, self.tags[name].fingerprint = TagState.FROZEN, mark
        self.frozen.setdefault(TagRef(TagName(name), mark), deepcopy(self.holds(name)))
        return TagFrozen(TagName(name), mark)

    def fingerprint(self, name: str) -> str:
        """Return the fingerprint of what a tag holds, by the domain's own words."""
        return fingerprint.tag_fingerprint(
            {
                kind: fingerprint.timeline_fingerprint(rows)
                for kind, rows in self.holds(name).items()
            }
        )

    def _unfreeze(self) -> TagChanged | None:
        names = [name for name, tag in self.tags.items() if tag.state is TagState.FROZEN]
        if not names:
            return None
        name = self.rng.choice(names)
        self.tags[name].state, self.tags[name].fingerprint = TagState.UNLOCKED, None
        return TagChanged(TagName(name), TagState.UNLOCKED, "a reason")

    def _delete_tag(self) -> TagDeleted | None:
        if (name := self._open_tag()) is None or self.rng.random() < 0.5:
            return None
        for list_id in self.tags.pop(name).lists.values():
            del self.lists[list_id]
        return TagDeleted(TagName(name))

    def _make_token(self) -> TokenMade:
        token = f"{len(self.tokens):012x}"
        self.tokens[token] = True
        return TokenMade(token, TokenName(f"t{token}"), "0f" * 32, (), 2**40, "alice")

    def _revoke_token(self) -> TokenRevoked | None:
        """Revoke any token, also one that was revoked before."""
        if not self.tokens:
            return None
        token = self.rng.choice(sorted(self.tokens))
        self.tokens[token] = False
        return TokenRevoked(token)

    def _make_list(self) -> ListCreated:
        kind = self.rng.choice(KINDS)
        self._new_list(kind)
        return ListCreated(kind)

    def _detach(self) -> ListDetached | None:
        name = self._open_tag()
        if name is None or not self.tags[name].lists:
            return None
        kind = self.rng.choice(sorted(self.tags[name].lists))
        return ListDetached(self.tags[name].lists.pop(kind))

    def _attach(self) -> ListAttached | None:
        """Attach any list that no closed tag has, in the place of the one of its type."""
        name = self._open_tag()
        closed = [tag for tag in self.tags.values() if tag.state is not TagState.UNLOCKED]
        fixed = {at for tag in closed for at in tag.lists.values()}
        lists = [at for at in self.lists if at not in fixed]
        if name is None or not lists:
            return None
        list_id = self.rng.choice(lists)
        for tag in self.tags.values():
            tag.lists = {kind: at for kind, at in tag.lists.items() if at != list_id}
        self.tags[name].lists[self.lists[list_id][0]] = list_id
        return ListAttached(list_id, TagName(name))
