"""Results as lines for people; each function takes a value and returns text, nothing is printed."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from condstore.terminal import plural, size, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.moments import Moment
    from condstore.producer import Report as Streamed
    from condstore.results import Buffer, Readiness, Resolution, Tag
    from condstore.terminal import Terminal
    from condstore.verify import Report as Verified

    Written = Callable[[Moment], str]

_MOST_PROBLEMS = 20


def as_json(value: object) -> str:
    """Write a result as one JSON document."""
    return json.dumps(value, indent=2, default=_fields)


def _fields(value: object) -> dict[str, object]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"{type(value).__name__} has no JSON")
    return dataclasses.asdict(value)


def streamed(report: Streamed) -> str:
    """Say what a stream came to."""
    return (
        f"{plural(report.segments, 'segment')}, {size(report.size)}, {report.seconds:.1f} s "
        f"({report.rate:.0f}/s), LSN {report.lsn}"
    )


def status(
    url: str, ready: Readiness, buffer: Buffer, tags: tuple[Tag, ...], to: Terminal
) -> list[str]:
    """Say how the system is: servers first, then the buffer, then the tags."""
    logic = to.good("ready") if ready.ready else to.bad("not ready")
    away = ready.databuffer != "reachable"
    halted = [to.bad(f"            {ready.detail}")] if ready.detail else []
    state = to.warn("FROZEN") if buffer.frozen else to.good(buffer.state)
    by = f" by {buffer.user}" if buffer.frozen else ""
    return [
        f"logic tier  {logic} at {url}, ledger at LSN {ready.lsn}",
        *halted,
        f"databuffer  {to.bad(ready.databuffer) if away else to.good(ready.databuffer)}"
        + (" - reads go on, writes are refused until it is back" if away else ""),
        f"buffer      {state}{by}: {plural(buffer.files, 'file')}, {size(buffer.size)}",
        "",
        *tag_table(tags),
    ]


def tag_table(tags: tuple[Tag, ...]) -> list[str]:
    """List tags, a line each."""
    if not tags:
        return ["no global tags yet"]
    rows = [
        (
            tag.name,
            tag.state,
            str(tag.payload_list_count),
            str(tag.payload_iov_count),
            (tag.fingerprint or "-")[:12],
        )
        for tag in tags
    ]
    return table(("global tag", "state", "types", "IOVs", "fingerprint"), rows)


def resolution(found: Resolution, written: Written, to: Terminal) -> list[str]:
    """Say which payloads hold, and over which interval this answer stays the same."""
    mark = f", fingerprint {found.fingerprint[:12]}" if found.fingerprint else ""
    about = f"({found.state}{mark}, LSN {found.lsn})"
    lines = [f"{to.bold(found.tag)} at {written(found.moment)} {about}"]
    if found.payloads:
        rows = [
            (
                payload.payload_type,
                written(payload.start),
                written(payload.end) if payload.end else "open",
                size(payload.size) if payload.size is not None else "-",
                payload.digest.removeprefix("sha256:")[:12] if payload.digest else payload.name,
            )
            for payload in found.payloads
        ]
        lines += table(("type", "holds from", "until", "size", "digest"), rows)
    else:
        lines.append(to.warn("no payload holds at this moment"))
    if found.gaps:
        lines.append(f"gap here, no payload: {', '.join(found.gaps)}")
    since = written(found.since) if found.since else "the beginning"
    until = written(found.until) if found.until else "further notice"
    return [*lines, to.dim(f"the same answer from {since} until {until}")]


def verified(report: Verified, to: Terminal) -> list[str]:
    """Say what was checked and what is wrong."""
    looked = "all hashed" if report.hashed else "all there"
    lines = [
        (
            f"ledger {report.head.ledger[:8]} up to LSN {report.head.lsn}: "
            f"{plural(report.payloads, 'payload')} ({size(report.size)}), {looked}"
        )
    ]
    lines += [to.bad(str(problem)) for problem in report.problems[:_MOST_PROBLEMS]]
    if len(report.problems) > _MOST_PROBLEMS:
        lines.append(f"… and {len(report.problems) - _MOST_PROBLEMS} more (--json lists all)")
    verdict = plural(len(report.problems), "problem")
    return [*lines, to.bad(verdict) if report.problems else to.good("nothing wrong")]
