"""Global tags: list, make, describe, clone, lock, unlock, freeze, unfreeze, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import request

from datastore_logic.domain.tags import TagName, TagState
from datastore_logic.services import tags
from datastore_logic.services.approving import Wish, needs_two, pending
from datastore_logic.services.freezing import freeze_with_report
from datastore_logic.view.contents import find_content
from datastore_logic.view.proposals import proposal
from datastore_logic.view.tags import find_tag
from datastore_logic.view.tags import tags as tags_by_name
from datastore_logic.web import fields, wire
from datastore_logic.web.v1 import asked, shown
from datastore_logic.web.v1.route import Route

if TYPE_CHECKING:
    from flask import Response

    from datastore_logic.domain.decisions import OpenState
    from datastore_logic.services.commit import Committed
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.proposals import ProposalRow

OPEN: Final = frozenset({TagState.UNLOCKED, TagState.LOCKED})


def list_tags(tier: Tier) -> Response:
    """Show a page of tags by name."""
    limit, after, search = asked.limit(), asked.words("after"), asked.words("search")
    state = asked.state(request.args["state"]) if "state" in request.args else None
    with tier.reading(fields.min_lsn(), of=tier.config.stream_tag) as snapshot:
        found = tags_by_name(snapshot, after=after, search=search, state=state, limit=limit + 1)
        rows, following = shown.page(found, limit, lambda row: row.name)
        told = {"lsn": snapshot.lsn, "global_tags": [shown.tag(row) for row in rows]}
        return shown.read(told | {"next": following}, snapshot, snapshot.lsn)


def create_tag(tier: Tier) -> Response:
    """Make a tag; one that exists is shown."""
    told = asked.body("name", "description", "author", "state")
    name = fields.parsed(TagName.parse, told.get("name"), "name")
    done = tags.create_tag(
        tier,
        name,
        asked.optional(told, "description") or "",
        author=asked.optional(told, "author", fields.MAX_USER),
        state=asked.state(told.get("state", TagState.UNLOCKED), OPEN),
        asking=asked.asking(),
    )
    return _row(tier, name, done)


def show_tag(tier: Tier, tag: str) -> Response:
    """Describe a tag and its lists."""
    ref = asked.ref(tag)
    with asked.reading(tier, ref) as snapshot:
        content = find_content(snapshot, ref)
        waits = proposal(snapshot, content.tag.id, content.lsn)
        told = shown.content(snapshot, content) | _freeze(tier, waits)
        return shown.read(told, snapshot, content.tag.lsn, ref)


def delete_tag(tier: Tier, tag: str) -> Response:
    """Delete a tag."""
    name = TagName.parse(tag)
    done = tags.delete_tag(tier, name, asking=asked.asking())
    return wire.answer({"tag": name, "deleted": True, "lsn": done.lsn}, lsn=done.lsn)


def clone_tag(tier: Tier, tag: str) -> Response:
    """Make a tag with the content of another."""
    told, source = asked.body("name", "description"), asked.ref(tag)
    name = fields.parsed(TagName.parse, told.get("name"), "name")
    words = asked.optional(told, "description")
    with asked.reading(tier, source):
        pass  # wait for what it names, or say that there is no such LSN
    done = tags.clone_tag(tier, source, name, description=words, asking=asked.asking())
    return _row(tier, name, done)


def lock(tier: Tier, tag: str) -> Response:
    """Let a tag be appended to only."""
    return _change(tier, tag, TagState.LOCKED)


def unlock(tier: Tier, tag: str) -> Response:
    """Let the newest payload win again."""
    return _change(tier, tag, TagState.UNLOCKED)


def unfreeze(tier: Tier, tag: str) -> Response:
    """Open a frozen tag again, for a reason."""
    name, told = TagName.parse(tag), asked.body("reason")
    reason = fields.text(told, "reason").strip()
    done = tags.unfreeze_tag(tier, name, reason=reason, asking=asked.asking())
    return _state(tier, name, done)


def freeze(tier: Tier, tag: str) -> Response:
    """Freeze a tag, unless its report speaks against it and `strict` was asked for.

    202 where that needs two, and only one has asked for it.
    """
    name = TagName.parse(tag)
    told = asked.body("user", "token", "reason", "fingerprint", needed=False)
    strict, look = asked.flag("strict"), asked.look()
    is_told = asked.flag("report", default=True)
    wish = Wish(
        asked.optional(told, "reason"), asked.fingerprint(told), fields.text(told, "token", "")
    )
    done, report = freeze_with_report(
        tier,
        name,
        wish,
        look if is_told or strict else None,
        strict=strict,
        asking=asked.asking(fields.text(told, "user", "", most=fields.MAX_USER)),
    )
    with tier.reading(done.lsn) as snapshot:
        row = find_tag(snapshot, name)
        waits = pending(tier, snapshot, row, done.lsn)
    more = {} if report is None else {"report": report.wire()}
    stands = shown.state(row) | _freeze(tier, waits) | more
    return wire.answer(stands, 202 if waits else 200, lsn=done.lsn)


def withdraw_freeze(tier: Tier, tag: str) -> Response:
    """End a proposal to freeze a tag."""
    name, reason = TagName.parse(tag), asked.words("reason") or None
    done = tags.withdraw_freeze(tier, name, reason=reason, asking=asked.asking())
    return _state(tier, name, done)


ROUTES: Final = (
    Route("GET", "/global-tags", list_tags, ("after", "limit", "search", "state")),
    Route("POST", "/global-tags", create_tag, ("user",)),
    Route("GET", "/global-tags/<tag>", show_tag, ("as_of",)),
    Route("DELETE", "/global-tags/<tag>", delete_tag, ("user",)),
    Route("POST", "/global-tags/<tag>/clone", clone_tag, ("as_of", "user")),
    Route("POST", "/global-tags/<tag>/lock", lock, ("user",)),
    Route("POST", "/global-tags/<tag>/unlock", unlock, ("user",)),
    Route("POST", "/global-tags/<tag>/unfreeze", unfreeze, ("user",)),
    Route("POST", "/global-tags/<tag>/freeze", freeze, ("report", "strict", *asked.LOOK, "user")),
    Route("DELETE", "/global-tags/<tag>/freeze", withdraw_freeze, ("reason", "user")),
)


def _change(tier: Tier, tag: str, state: OpenState) -> Response:
    told, name = asked.body("reason", needed=False), TagName.parse(tag)
    reason = asked.optional(told, "reason")
    asking = asked.asking()
    done = tags.lock_or_unlock_tag(tier, name, state, reason=reason, asking=asking)
    return _state(tier, name, done)


def _state(tier: Tier, name: TagName, done: Committed) -> Response:
    with tier.reading(done.lsn) as snapshot:
        row = find_tag(snapshot, name)
    return wire.answer(shown.state(row), lsn=done.lsn)


def _freeze(tier: Tier, waits: ProposalRow | None) -> dict[str, object]:
    """Return the field that shows a freeze which waits for its second person, if one does."""
    if waits is None or not needs_two(tier):
        return {}
    return {"freeze": shown.proposal(waits, tier.config.access.freeze_approvals)}


def _row(tier: Tier, name: TagName, done: Committed) -> Response:
    with tier.reading(done.lsn) as snapshot:
        row = find_tag(snapshot, name)
    return wire.answer(shown.tag(row), 201 if done.new else 200, lsn=done.lsn)
