"""Payload types and payload lists: make, attach, detach, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain import decisions
from datastore_logic.domain.events import ListCreated, TypeCreated
from datastore_logic.services.commit import Asking, Committed, Draft, commit
from datastore_logic.services.keys import list_key, tag_key, type_key
from datastore_logic.services.known import known_list, known_tag, list_in
from datastore_logic.view.lists import count_lists, find_list, find_type, list_of, type_named
from datastore_logic.view.tags import find_tag

if TYPE_CHECKING:
    from datastore_logic.domain.tags import ListName, PayloadTypeName, TagName
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot


def create_type(tier: Tier, name: PayloadTypeName, *, asking: Asking) -> Committed:
    """Make a payload type; one that exists is left as it is."""
    mine = type_key(name)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        if type_named(snapshot, name) is not None:
            return Committed(snapshot.lsn, new=False)
        return Draft(TypeCreated(name), (mine,), snapshot.touched(mine))

    return commit(tier, asking, (), f"create type {name}", decide)


def delete_type(tier: Tier, name: PayloadTypeName, *, asking: Asking) -> Committed:
    """Delete a payload type that no list uses.

    Raises:
        NotFound: no such type.
        InUse: lists are of that type.
    """
    mine = type_key(name)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        event = decisions.delete_type(name, count_lists(snapshot, find_type(snapshot, name).id))
        return Draft(event, (mine,), snapshot.touched(mine))

    return commit(tier, asking, (), f"delete type {name}", decide)


def create_list(tier: Tier, payload_type: PayloadTypeName, *, asking: Asking) -> Committed:
    """Make an empty list in no tag; `view.lists.list_made_by` the LSN finds it.

    Raises:
        NotFound: no such type.
    """
    mine = type_key(payload_type)

    def decide(snapshot: Snapshot) -> Draft | Committed:
        find_type(snapshot, payload_type)
        return Draft(ListCreated(payload_type), (mine,), snapshot.touched(mine))

    return commit(tier, asking, (), f"create list {payload_type}", decide)


def attach_list(tier: Tier, name: ListName, tag: TagName, *, asking: Asking) -> Committed:
    """Make a list the tag's list of its type; the one it had is in no tag then.

    Raises:
        NotFound: no such list or tag.
        TagIsFrozen, TagIsLocked, TagIsStreamed: a tag's state does not allow it.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        held, goal = find_list(snapshot, name), find_tag(snapshot, tag)
        present = list_of(snapshot, goal.id, held.payload_type)
        event = decisions.attach(
            known_list(snapshot, held),
            held.id,
            known_tag(goal),
            None if present is None else known_list(snapshot, present),
        )
        if event is None:
            return Committed(goal.lsn, new=False)
        keys = [list_key(held.id), tag_key(tag)]
        keys += [tag_key(held.tag)] if held.tag else []
        keys += [list_key(present.id)] if present else []
        return Draft(event, tuple(keys), snapshot.touched(*keys))

    return commit(tier, asking, (tag, name), f"attach {name} {tag}", decide)


def detach_list(
    tier: Tier, tag: TagName, payload_type: PayloadTypeName, *, asking: Asking
) -> Committed:
    """Take a tag's list of a type out of it; the list keeps its IOVs.

    Raises:
        NotFound: no such tag, or it has no list of that type.
        TagIsFrozen, TagIsLocked, TagIsStreamed: the tag's state does not allow it.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        held = list_in(snapshot, tag, payload_type)
        event = decisions.detach(known_list(snapshot, held), held.id)
        keys = (list_key(held.id), tag_key(tag))
        if event is None:
            return Committed(snapshot.lsn, new=False)
        return Draft(event, keys, snapshot.touched(*keys))

    return commit(tier, asking, (tag,), f"detach {payload_type} {tag}", decide)


def delete_list(tier: Tier, name: ListName, *, asking: Asking) -> Committed:
    """Delete an empty list.

    Raises:
        NotFound: no such list.
        InUse: it has IOVs.
        TagIsFrozen, TagIsLocked, TagIsStreamed: its tag does not allow it.
    """

    def decide(snapshot: Snapshot) -> Draft | Committed:
        held = find_list(snapshot, name)
        event = decisions.delete_list(known_list(snapshot, held), held.id)
        keys = (list_key(held.id), *([tag_key(held.tag)] if held.tag else []))
        return Draft(event, keys, snapshot.touched(*keys, type_key(held.payload_type)))

    return commit(tier, asking, (name,), f"delete list {name}", decide)
