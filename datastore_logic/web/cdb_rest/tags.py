"""Global tags: list, show, make, clone, change the status, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from flask import request

from datastore_logic.domain.errors import AlreadyExists, TagIsFrozen, TagIsLocked
from datastore_logic.domain.tags import TagName, TagRef, TagState
from datastore_logic.services import tags
from datastore_logic.services.approving import Wish, pending
from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import LISTS, TAGS
from datastore_logic.view.tags import find_tag
from datastore_logic.web import fields, wire
from datastore_logic.web.cdb_rest import asked, listing, shown
from datastore_logic.web.cdb_rest.refusals import Unknown

if TYPE_CHECKING:
    from flask import Blueprint, Response

    from datastore_logic.services.commit import Committed
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.catalogue import TagLine
    from datastore_logic.view.database import Snapshot
    from datastore_logic.web.cdb_rest.ends import Ends
    from datastore_logic.web.cdb_rest.listing import Pieces


def add(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    """Add the routes."""
    _add_reads(routes, tier, ends)
    _add_writes(routes, tier)


def _add_reads(routes: Blueprint, tier: Tier, ends: Ends) -> None:
    latest = LatestTags()

    @routes.get("/globalTags")
    @routes.get("/global-tags")
    def list_tags() -> Response:
        page = asked.page()
        if page is not None:
            return listing.browsed(tier, TAGS, page, shown.listed_tag)
        with tier.reading(fields.min_lsn(), of=tier.config.stream_tag) as snapshot:
            return wire.revalidated(latest.encoded(snapshot), snapshot, snapshot.lsn)

    @routes.get("/gt")
    def list_nested_tags() -> Response:
        def begin(snapshot: Snapshot) -> tuple[Pieces, int]:
            found = [*catalogue.everything(snapshot, TAGS)]
            nested = (listing.nested_tag(snapshot, tag, ends) for tag in found)
            return listing.array(nested), snapshot.lsn

        return listing.streamed(tier, begin)

    @routes.get("/gt/<tag_id>")
    def show_tag_by_id(tag_id: str) -> Response:
        return _nested(tier, ends, id=asked.known_id(tag_id))

    @routes.get("/globalTag/<name>")
    @routes.get("/global-tags/<name>")
    def show_tag(name: str) -> Response:
        if "light" not in request.args:
            return _nested(tier, ends, name=name)
        with tier.reading(fields.min_lsn(), of=name) as snapshot:
            tag = _tag(snapshot, name=name)
            return wire.revalidated(shown.listed_tag(tag), snapshot, tag.lsn)

    @routes.get("/gtPayloadLists/<name>")
    @routes.get("/global-tags/<name>/payload-lists")
    def list_names(name: str) -> Response:
        with tier.reading(fields.min_lsn(), of=name) as snapshot:
            tag = catalogue.first(snapshot, TAGS, name=name)
            lists = catalogue.everything(snapshot, LISTS, tag_id=tag.id) if tag else ()
            told = {held.payload_type: held.name for held in lists}
            return wire.revalidated(told, snapshot, tag.lsn if tag else 0)


def _add_writes(routes: Blueprint, tier: Tier) -> None:
    @routes.post("/gt")
    def create_tag() -> Response:
        sent = asked.told()
        name, state = TagName.parse(sent.get("name")), asked.state(sent.get("status"))
        author = asked.optional_text(sent, "author", fields.MAX_USER)
        words = asked.optional_text(sent, "description", asked.MAX_WORDS) or ""
        asking = asked.asking(author)
        done = tags.create_tag(tier, name, words, author=author, state=state, asking=asking)
        if not done.new:
            raise AlreadyExists("global_tag", name)
        return _changed(tier, name, done, state)

    @routes.post("/cloneGlobalTag/<source>/<name>")
    @routes.post("/global-tags/<source>/clone/<name>")
    def clone_tag(source: str, name: str) -> Response:
        goal = TagName.parse(name)
        done = tags.clone_tag(tier, TagRef.parse(source), goal, asking=asked.asking())
        with tier.reading() as snapshot:
            return wire.answer(shown.listed_tag(_tag(snapshot, name=goal)), lsn=done.lsn)

    @routes.put("/gt_change_status/<name>/<status>")
    @routes.put("/global-tags/<name>/change-status/<status>")
    def change_status(name: str, status: str) -> Response:
        tag, state, reason = TagName.parse(name), asked.state(status), request.args.get("reason")
        asking = asked.asking()
        if state is TagState.FROZEN:
            done = tags.freeze_tag(tier, tag, Wish(reason), asking=asking)
            return _frozen(tier, tag, done)
        done = tags.reopen_tag(tier, tag, state, reason=reason, asking=asking)
        return _changed(tier, tag, done, shown.STATUS_ID[state])

    @routes.delete("/deleteGlobalTag/<name>")
    @routes.delete("/global-tags/<name>/delete")
    def delete_tag(name: str) -> Response:
        try:
            done = tags.delete_tag(tier, TagName.parse(name), asking=asked.asking())
        except (TagIsFrozen, TagIsLocked) as reason:
            raise TagIsLocked("Global Tag is locked.") from reason
        return wire.answer({"detail": f"Global tag {name} deleted."}, lsn=done.lsn)


class LatestTags:
    """The list of all tags as it was last encoded: clients ask for it before nearly everything.

    Who does not see all of them has it made for themselves.
    """

    def __init__(self) -> None:
        self._known: tuple[tuple[str, int], bytes] | None = None

    def encoded(self, snapshot: Snapshot) -> orjson.Fragment:
        """Return the JSON of what this state holds."""
        if snapshot.sight is not None:
            return orjson.Fragment(_encoded(snapshot))
        mark = (snapshot.position.ledger, snapshot.lsn)
        known = self._known
        if known is None or known[0] != mark:
            self._known = known = (mark, _encoded(snapshot))
        return orjson.Fragment(known[1])


def _encoded(snapshot: Snapshot) -> bytes:
    lines = catalogue.everything(snapshot, TAGS)
    return orjson.dumps([shown.listed_tag(line) for line in lines])


def _tag(snapshot: Snapshot, **having: object) -> TagLine:
    tag = catalogue.first(snapshot, TAGS, **having)
    if tag is None:
        raise Unknown
    return tag


def _nested(tier: Tier, ends: Ends, **having: object) -> Response:
    def begin(snapshot: Snapshot) -> tuple[Pieces, int]:
        tag = _tag(snapshot, **having)
        return listing.nested_tag(snapshot, tag, ends), tag.lsn

    return listing.streamed(tier, begin)


def _frozen(tier: Tier, name: TagName, done: Committed) -> Response:
    """Return the frozen tag; of one that waits for its second person 202, and the row as it is.

    The row stands under `global_tag`: of whatever is not 200 these clients read `name` as a list of
    errors, and say `detail`.
    """
    with tier.reading() as snapshot:
        waits = pending(tier, snapshot, find_tag(snapshot, name), done.lsn)
        row = _tag(snapshot, name=name)
    if waits is None:
        return _changed(tier, name, done, shown.STATUS_ID[TagState.FROZEN])
    return wire.answer(shown.proposed(row, waits), 202, lsn=done.lsn)


def _changed(tier: Tier, name: TagName, done: Committed, status: str | int) -> Response:
    with tier.reading() as snapshot:
        return wire.answer(shown.tag(_tag(snapshot, name=name), status), lsn=done.lsn)
