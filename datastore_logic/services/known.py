"""From the view's rows to what decisions are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.domain.decisions import GlobalTag, PayloadList
from datastore_logic.domain.tags import PayloadTypeName, TagName
from datastore_logic.errors import NotFound
from datastore_logic.view.lists import list_of
from datastore_logic.view.tags import find_tag

if TYPE_CHECKING:
    from datastore_logic.view.database import Snapshot
    from datastore_logic.view.lists import ListRow
    from datastore_logic.view.tags import TagRow


def known_tag(row: TagRow) -> GlobalTag:
    """Return a tag as a decision knows it."""
    return GlobalTag(TagName(row.name), row.state, row.streamed)


def known_list(snapshot: Snapshot, row: ListRow) -> PayloadList:
    """Return a payload list as a decision knows it."""
    tag = None if row.tag is None else known_tag(find_tag(snapshot, row.tag))
    return PayloadList(row.id, PayloadTypeName(row.payload_type), tag, row.iov_count)


def list_in(snapshot: Snapshot, tag: TagName, payload_type: PayloadTypeName) -> ListRow:
    """Return a tag's list of a type.

    Raises:
        NotFound: no such tag, or it has no list of that type.
    """
    found = list_of(snapshot, find_tag(snapshot, tag).id, payload_type)
    if found is None:
        raise NotFound("payload_type", f"{payload_type} in global tag {tag}")
    return found
