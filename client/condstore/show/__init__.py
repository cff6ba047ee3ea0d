"""Results as lines for people: functions from a value to text; nothing is printed here."""

from condstore.moments import Written, interval, style, written
from condstore.show.acts import history
from condstore.show.backups import (
    checked,
    checkpointed,
    compressed,
    repaired,
    restored,
    taken,
    unreferenced,
)
from condstore.show.doctor import examined
from condstore.show.moving import fetched, pulled, put, sound, streamed
from condstore.show.plans import plan
from condstore.show.reading import iov_table, resolution, status, verified
from condstore.show.review import difference, findings, report
from condstore.show.tags import content, held_lists, proposed, tag_table
from condstore.show.tokens import made, made_wire, token_table, whoami
from condstore.show.written import as_json

__all__ = [
    "Written",
    "as_json",
    "checked",
    "checkpointed",
    "compressed",
    "content",
    "difference",
    "examined",
    "fetched",
    "findings",
    "held_lists",
    "history",
    "interval",
    "iov_table",
    "made",
    "made_wire",
    "plan",
    "proposed",
    "pulled",
    "put",
    "repaired",
    "report",
    "resolution",
    "restored",
    "sound",
    "status",
    "streamed",
    "style",
    "tag_table",
    "taken",
    "token_table",
    "unreferenced",
    "verified",
    "whoami",
    "written",
]
