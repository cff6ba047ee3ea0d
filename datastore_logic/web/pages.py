"""The status page: what the streaming buffer and the tags look like, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Response, render_template

from datastore_logic.access.caller import caller
from datastore_logic.errors import ViewError
from datastore_logic.services.approving import needs_two
from datastore_logic.view.buffer import buffer, buffer_files, link
from datastore_logic.view.proposals import open_proposals
from datastore_logic.view.tags import count_tags, newest_tags
from datastore_logic.web.page import page

if TYPE_CHECKING:
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.buffer import BufferRow, FileRow
    from datastore_logic.view.database import Position, Snapshot
    from datastore_logic.view.proposals import ProposalRow
    from datastore_logic.view.tags import TagRow

FILES: Final = 50
TAGS: Final = 50


@dataclass(frozen=True, slots=True)
class Status:
    """All the page shows; of the buffer nothing to who may not read its tag.

    `who` has signed in, where reads need that; the API does not know them by that, so nothing leads
    there.
    """

    position: Position
    since: str
    who: str | None
    streamed_is_seen: bool
    buffer: BufferRow
    threshold: int
    files: list[FileRow]
    tags: list[TagRow]
    tag_count: int
    proposals: list[tuple[str, ProposalRow]]
    stream_tag: str

    @property
    def fill(self) -> float:
        """How full the buffer is of what a freeze needs, 0 to 100."""
        return min(100.0, 100 * self.buffer.buff_size / max(1, self.threshold))


def blueprint(tier: Tier) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("pages", __name__)
    routes.add_app_template_filter(number)
    routes.add_app_template_filter(size)
    routes.add_app_template_filter(when)

    @routes.get("/")
    def status() -> Response:
        try:
            with tier.database.any_snapshot() as snapshot:
                shown = _status(tier, snapshot)
        except ViewError:
            return _page(render_template("building.html"), 503)
        if not shown.position.complete:
            building = render_template("building.html", position=shown.position)
            return _page(building, 503, shown.position)
        return _page(render_template("status.html", status=shown), 200, shown.position)

    return routes


def number(value: int) -> str:
    """Return an integer with thin spaces between thousands.

    >>> number(1234567).split()
    ['1', '234', '567']
    """
    return f"{value:,}".replace(",", "\u2009")


def size(count: int) -> str:
    """Return bytes in the unit that reads best, with three figures.

    >>> size(999).split(), size(1_234_567).split()
    (['999', 'B'], ['1.23', 'MB'])
    """
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f}\u00a0B" if unit == "B" else f"{value:.3g}\u00a0{unit}"


def when(time: str) -> str:
    """Return a time of the ledger to the second.

    >>> when("2026-11-20T23:17:00.123456Z")
    '2026-11-20 23:17:00'
    """
    return time[:19].replace("T", " ")


def _status(tier: Tier, snapshot: Snapshot) -> Status:
    is_seen = snapshot.sees(tier.config.stream_tag)
    return Status(
        position=snapshot.position,
        since=link(snapshot).since,
        who=caller().subject,
        streamed_is_seen=is_seen,
        buffer=buffer(snapshot),
        threshold=tier.config.max_size,
        files=buffer_files(snapshot, newest=FILES) if is_seen else [],
        tags=newest_tags(snapshot, TAGS),
        tag_count=count_tags(snapshot),
        proposals=open_proposals(snapshot, TAGS) if needs_two(tier) else [],
        stream_tag=tier.config.stream_tag,
    )


def _page(html: str, status: int, position: Position | None = None) -> Response:
    response = page(html, status)
    if position is not None:
        response.headers["X-Ledger-LSN"] = str(position.applied_lsn)
    else:
        response.headers["Retry-After"] = "1"
    return response
