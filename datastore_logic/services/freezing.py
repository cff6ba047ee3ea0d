"""Freeze a tag with its pre-flight report: of the very state that is frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datastore_logic.domain.tags import TagRef
from datastore_logic.errors import PreflightFailed
from datastore_logic.services.preflight import preflight
from datastore_logic.services.tags import freeze_tag
from datastore_logic.view.contents import find_content

if TYPE_CHECKING:
    from datastore_logic.domain.tags import TagName
    from datastore_logic.services.approving import Wish
    from datastore_logic.services.commit import Asking, Committed
    from datastore_logic.services.preflight import Report
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.database import Snapshot


@dataclass(frozen=True, slots=True)
class Look:
    """How to look a tag over: beside which template, and whether bytes are read and hashed."""

    template: TagRef | None = None
    read_bytes: bool = False

    def over(self, tier: Tier, ref: TagRef, snapshot: Snapshot) -> Report:
        """Return the report of what a reference names.

        Raises:
            NotFound: no such tag or template.
            DatabufferError: it cannot say which payloads it has.
        """
        content = find_content(snapshot, ref)
        template = None if self.template is None else find_content(snapshot, self.template)
        return preflight(tier, content, template, snapshot=snapshot, read_bytes=self.read_bytes)


@dataclass(slots=True)
class _Check:
    """Keeps the last report; where it must be good, what is found speaks against the freeze."""

    tier: Tier
    ref: TagRef
    look: Look
    strict: bool
    report: Report | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        report = self.look.over(self.tier, self.ref, snapshot)
        if self.strict and not report.ok:
            raise PreflightFailed(report.wire())
        self.report = report


def freeze_with_report(
    tier: Tier,
    name: TagName,
    wish: Wish,
    look: Look | None,
    *,
    strict: bool = False,
    asking: Asking,
) -> tuple[Committed, Report | None]:
    """Freeze a tag; again is harmless. Return what was found in it as well, if it was looked over.

    Where a freeze needs two, who proposes and who confirms each get a report of what is there then.

    Raises:
        NotFound: no such tag or template.
        OtherContent: it holds something else than the wish says.
        PreflightFailed: it is to be `strict`, and something was found.
        DatabufferError: it was not frozen, or nobody knows.
    """
    check = None if look is None else _Check(tier, TagRef(name), look, strict)
    done = freeze_tag(tier, name, wish, check=check, asking=asking)
    if check is None or look is None:
        return done, None
    if check.report is not None:
        return done, check.report
    with tier.reading(done.lsn) as snapshot:  # it was frozen before
        return done, look.over(tier, TagRef(name), snapshot)
