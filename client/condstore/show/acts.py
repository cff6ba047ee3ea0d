"""What was done to a tag, in the words of who did it: the ledger's are for programs (`--json`)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from condstore.terminal import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from condstore.results import Act, Json

    About = Mapping[str, Json]

_FINGERPRINT: Final = re.compile(r"(?<=@)[0-9a-f]{64}\b")
_BY_OTHERS: Final = (("trimmed", "trimmed"), ("detached", "replaced"), ("deleted", "deleted"))


def history(acts: Sequence[Act]) -> list[str]:
    """List who did what to a tag, a line each."""
    if not acts:
        return ["nothing was done to it"]
    rows = [
        (str(act.lsn), act.time[:19].replace("T", " "), act.actor, done(act.act, act.about))
        for act in acts
    ]
    return table(("LSN", "time (UTC)", "who", "did"), rows, right=(0,))


def done(act: str, about: About) -> str:
    """Say what an act was; one that is not known, of a newer server, in the ledger's words.

    >>> done("tag.changed", {"state": "locked", "reason": "run 1200 is out"})
    'locked: run 1200 is out'
    >>> done("timelines.changed", {"lists": [{"payload_type": "Beam", "attached": 2}]})
    'inserted 2 Beam'
    """
    words = _WORDS.get(act)
    return words(about) if words else " ".join((act, *map(_pair, about.items())))


def _created(about: About) -> str:
    state = about.get("state", "unlocked")
    return "created" if state == "unlocked" else f"created, {state}"


def _cloned(about: About) -> str:
    source = str(about.get("source", "?"))
    return f"cloned from {_FINGERPRINT.sub(lambda found: found[0][:12], source)}"


def _changed(about: About) -> str:
    return _because(str(about.get("state", "changed")), about)


def _frozen(about: About) -> str:
    by = f", as {about['proposed_by']} proposed" if about.get("proposed_by") else ""
    return _because(f"frozen, fingerprint {_short(about)}{by}", about)


def _short(about: About) -> str:
    return str(about.get("fingerprint", ""))[:12]


def _proposed(about: About) -> str:
    return _because(f"proposed to freeze, fingerprint {_short(about)}", about)


def _withdrawn(about: About) -> str:
    return _because("withdrew the proposal to freeze", about)


def _because(said: str, about: About) -> str:
    return f"{said}: {about['reason']}" if about.get("reason") else said


def _timelines(about: About) -> str:
    """Say what came and what gave way, by payload type; what only left was deleted."""
    rows = about.get("lists") or ()
    came = [_came(row) for row in rows if row.get("attached")]
    left = [f"{row['deleted']} {row['payload_type']}" for row in rows if _only_left(row)]
    said = [f"inserted {', '.join(came)}"] if came else []
    return "; ".join([*said, *([f"deleted {', '.join(left)}"] if left else [])]) or "changed"


def _came(row: About) -> str:
    """Say it of one type; parts of what was split count as new, so they are told apart."""
    others = [f"{row[name]} {word}" for name, word in _BY_OTHERS if row.get(name)]
    if not others:
        return f"{row['attached']} {row['payload_type']}"
    parts = ", ".join([f"{row['attached']} new", *others])
    return f"{row['payload_type']} ({parts})"


def _only_left(row: About) -> bool:
    return bool(row.get("deleted")) and not row.get("attached")


def _attached(about: About) -> str:
    instead = f" in place of {about['replaced']}" if about.get("replaced") else ""
    return f"attached {about.get('payload_list', 'a payload list')}{instead}"


def _detached(about: About) -> str:
    return f"detached {about.get('payload_list', 'a payload list')}"


def _cleaned(about: About) -> str:
    return f"buffer flushed: kept as {about.get('name', '?')}"


def _pair(told: tuple[str, Json]) -> str:
    name, value = told
    return f"{name} {value if isinstance(value, str) else json.dumps(value)}"


_WORDS: Final[Mapping[str, Callable[[About], str]]] = {
    "tag.created": _created,
    "tag.cloned": _cloned,
    "tag.changed": _changed,
    "tag.frozen": _frozen,
    "tag.freeze_proposed": _proposed,
    "tag.freeze_withdrawn": _withdrawn,
    "tag.deleted": lambda _: "deleted",
    "timelines.changed": _timelines,
    "list.attached": _attached,
    "list.detached": _detached,
    "list.deleted": _detached,
    "buffer.stored": lambda _: "created by the first segment",
    "buffer.frozen": _frozen,
    "buffer.cleaned": _cleaned,
}
