"""The pre-flight report: what speaks against freezing a global tag, and what to know before.

It looks at every payload IOV once, asks the databuffer for the payloads, and says what it has
looked at. It changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datastore_logic.domain.findings import (
    Finding,
    look_over,
    missing_types,
    note_early_ends,
    refuses,
)
from datastore_logic.services.presence import Presence
from datastore_logic.view.bare_rows import rows_of, segments_of
from datastore_logic.view.cuts import cuts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datastore_logic.domain.bare import Bare
    from datastore_logic.domain.findings import TypeFindings
    from datastore_logic.services.tier import Tier
    from datastore_logic.view.contents import Content, ContentList
    from datastore_logic.view.database import Snapshot


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in each payload type, which types are missing, and what was checked."""

    tag: str
    lsn: int
    template: str | None
    types: tuple[TypeFindings, ...]
    missing_types: tuple[str, ...]
    checked: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether a strict freeze would go ahead."""
        return not self.missing_types and not any(map(refuses, self.types))

    def wire(self) -> dict[str, Any]:
        """Return the JSON form: totals, then type by type."""
        return {
            "tag": self.tag,
            "lsn": self.lsn,
            "template": self.template,
            "ok": self.ok,
            "missing_types": list(self.missing_types),
            "totals": {
                finding.value: sum(found.count(finding) for found in self.types)
                for finding in Finding
            },
            "checked": dict(self.checked),
            "payload_types": [found.wire() for found in self.types],
        }


def preflight(
    tier: Tier,
    content: Content,
    template: Content | None = None,
    *,
    snapshot: Snapshot,
    read_bytes: bool = False,
) -> Report:
    """Look a content over, as `snapshot` shows it, from which it comes.

    With a template every type of that must have a payload. `read_bytes` has the bytes of the
    payloads read, for READING_SECONDS at most.

    Raises:
        DatabufferError: it cannot say which payloads it has.
    """
    presence = Presence(tier.buffer, read_bytes=read_bytes)
    types = tuple(_look_over(snapshot, content, held, presence) for held in content.lists)
    presence.settle()
    note_early_ends(types)
    for found in types:
        for finding in (Finding.MISSING, Finding.WRONG):
            if tally := presence.found.get((found.payload_type, finding)):
                found.tallies[finding] = tally
    required = () if template is None else {held.payload_type for held in template.lists}
    return Report(
        str(content.ref),
        content.lsn,
        None if template is None else str(template.ref),
        types,
        missing_types(types, required),
        _checked(types, presence),
    )


def _look_over(
    snapshot: Snapshot, content: Content, held: ContentList, presence: Presence
) -> TypeFindings:
    rows = rows_of(snapshot, content, held)
    if content.tag.streamed:  # of what is streamed all is looked for, not only what is visible
        _exhaust(presence.watch(held.payload_type, segments_of(snapshot, content, held)))
    else:
        rows = presence.watch(held.payload_type, rows)
    found = look_over(held.payload_type, rows)
    for place in cuts(snapshot, content, held):
        found.tally(Finding.TRIMMED).add_place(place)
    return found


def _exhaust(rows: Iterator[Bare]) -> None:
    for _ in rows:
        pass


def _checked(types: tuple[TypeFindings, ...], presence: Presence) -> dict[str, Any]:
    return {
        "payload_types": len(types),
        "payload_iovs": sum(found.payload_iovs for found in types),
        "payloads": presence.told(),
        "trimmed": "what this tag's own lists lost, since they are in it",
    }
