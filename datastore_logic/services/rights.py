"""Whether the caller may: asked of what a request names, and of what its decision would touch.

The second look is there so that no way of naming a thing (a list by its number, an IOV by its id)
leads around the first. What is in no tag needs the role on some tag: the route has seen to that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datastore_logic.access.api_tokens import REVOKED
from datastore_logic.domain.events import ListAttached, ListDeleted, ListDetached, TimelinesChanged
from datastore_logic.domain.tags import ListName
from datastore_logic.errors import Unauthenticated
from datastore_logic.services.keys import token_key
from datastore_logic.view.lists import find_list, tag_of_list
from datastore_logic.view.tokens import find_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datastore_logic.access.caller import Right
    from datastore_logic.domain.events import Decided
    from datastore_logic.domain.tags import TagName
    from datastore_logic.view.database import Snapshot


def refuse_about(snapshot: Snapshot, right: Right, about: Iterable[TagName | ListName]) -> None:
    """Do nothing where the caller may act on each of these; a list stands for the tag that has it.

    Raises:
        Forbidden: they may not.
        NotFound: no such list, or none that the caller may know of.
    """
    for named in about:
        if isinstance(named, ListName):
            tag = find_list(snapshot, named).tag
            if tag is not None:
                right.refuse_unless_on(tag)
        else:
            right.refuse_unless_on(named)


def rests_on_token(snapshot: Snapshot, right: Right) -> dict[str, int]:
    """Return on what condition a caller may write who shows an API token: that it still holds.

    The databuffer compares it when it appends, so nothing that was decided for a token comes into
    the ledger after its revocation, however far behind this replica is.

    Raises:
        Unauthenticated: it was revoked since the request began.
    """
    token_id = right.principal.token_id
    if token_id is None:
        return {}
    if find_token(snapshot, token_id).revoked is not None:
        raise Unauthenticated(REVOKED)
    return snapshot.touched(token_key(token_id))


def refuse_beyond(snapshot: Snapshot, right: Right, event: Decided) -> None:
    """Do nothing where the caller may act on every tag that an event would touch.

    Raises:
        Forbidden, NotFound: as above.
    """
    for tag in dict.fromkeys(_touched(snapshot, event)):
        if tag is not None:
            right.refuse_unless_on(tag)


def _touched(snapshot: Snapshot, event: Decided) -> Iterator[str | None]:
    match event:
        case TimelinesChanged(lists=changes):
            for change in changes:
                yield change.tag
                yield None if change.list_id is None else tag_of_list(snapshot, change.list_id)
        case ListAttached(list=list_id, tag=tag):
            yield tag
            yield tag_of_list(snapshot, list_id)
        case ListDetached(list=list_id) | ListDeleted(list=list_id):
            yield tag_of_list(snapshot, list_id)
        case _:
            yield getattr(event, "tag", None)
