"""What reads answer: the system's state, a resolution, payload IOVs, a verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.moments import interval, style, written
from condstore.show.tags import tag_table
from condstore.show.written import named, short, what
from condstore.terminal import plural, size, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.moments import Written
    from condstore.results import Buffer, PayloadIOV, Readiness, Resolution, Tag
    from condstore.terminal import Terminal
    from condstore.verify import Report as Verified

_MOST_PROBLEMS = 20
_NARROWEST = 8  # columns of a name


def status(
    url: str, ready: Readiness, buffer: Buffer, tags: Sequence[Tag], to: Terminal
) -> list[str]:
    """Say how the system is: servers first, then the buffer, then the tags."""
    logic = to.good("ready") if ready.ready else to.bad("not ready")
    away = ready.databuffer != "reachable"
    halted = [to.bad(f"            {ready.detail}")] if ready.detail else []
    return [
        f"logic tier  {logic} at {url}, ledger at LSN {ready.lsn}",
        *halted,
        f"databuffer  {to.bad(ready.databuffer) if away else to.good(ready.databuffer)}"
        + (" - reads go on, writes are refused until it is back" if away else ""),
        f"buffer      {buffer_state(buffer, to)}",
        "",
        *tag_table(tags),
    ]


def buffer_state(buffer: Buffer, to: Terminal) -> str:
    """Say how the streaming buffer is."""
    state = to.warn("FROZEN") if buffer.frozen else to.good(buffer.state)
    by = f" by {buffer.user}" if buffer.frozen else ""
    return f"{state}{by}: {plural(buffer.files, 'file')}, {size(buffer.size)}"


def resolution(found: Resolution, how: Written, to: Terminal) -> list[str]:
    """Say which payloads hold, and over which interval this answer stays the same."""
    mark = f", fingerprint {found.fingerprint[:12]}" if found.fingerprint else ""
    about = f"({found.state}{mark}, LSN {found.lsn})"
    lines = [f"{to.bold(found.tag)} at {how(found.moment)} {about}"]
    if found.payloads:
        rows = [
            (
                payload.payload_type,
                how(payload.start),
                written(payload.end, how),
                size(payload.size) if payload.size is not None else "-",
                what(payload),
            )
            for payload in found.payloads
        ]
        lines += table(("type", "holds from", "until", "size", "digest"), rows)
    else:
        lines.append(to.warn("no payload holds at this moment"))
    if found.gaps:
        lines.append(to.warn(f"gap here, no payload: {', '.join(found.gaps)}"))
    until = written(found.until, how, open_as="further notice")
    return [*lines, to.dim(f"the same answer from {how(found.since)} until {until}")]


def iov_table(iovs: Sequence[PayloadIOV], to: Terminal, *, whole: bool = False) -> list[str]:
    """List payload IOVs, a line each, and the gaps between them where they are.

    The names, which come last, are cut to what a terminal has room for; `whole` shows all of all.
    """
    how = style(moment for iov in iovs for moment in (iov.start, iov.end))
    rows = [(how(iov.start), written(iov.end, how), *_payload(iov, whole=whole)) for iov in iovs]
    headings = ("from", "until", "size", "digest")
    if whole:
        lines = table((*headings, "name", "checksum", "since LSN"), rows, right=(6,))
    else:
        left = table(headings, [row[:4] for row in rows])
        room = to.room and to.room - max(map(len, left)) - 2
        names = [_cut(row[4], room) for row in rows]
        short_rows = [(*row[:4], name) for row, name in zip(rows, names, strict=True)]
        lines = table((*headings, "name"), short_rows)
    shown = lines[:1]
    for line, iov, before in zip(lines[1:], iovs, (None, *iovs), strict=False):
        if before is not None and before.end is not None and before.end < iov.start:
            shown.append(to.warn(f"gap {interval(before.end, iov.start, how)}: nothing holds"))
        shown.append(line)
    return shown


def _payload(iov: PayloadIOV, *, whole: bool) -> tuple[str, ...]:
    amount = size(iov.size) if iov.size is not None else "-"
    if whole:
        return amount, iov.digest or "-", iov.name, iov.checksum or "-", str(iov.lsn)
    return amount, short(iov.digest) if iov.digest else "-", named(iov.name)


def _cut(name: str, room: int | None) -> str:
    """Return a name cut to `room` columns: what tells names apart mostly stands at their ends.

    >>> _cut("gwb1476012345678901234.json", 14), _cut("beam-7", 14)
    ('…78901234.json', 'beam-7')
    """
    if room is None or len(name) <= max(room, _NARROWEST):
        return name
    return f"…{name[1 - max(room, _NARROWEST) :]}"


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
