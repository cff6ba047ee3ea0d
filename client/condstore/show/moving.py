"""What was streamed, put and fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from condstore.terminal import plural, size

if TYPE_CHECKING:
    from condstore.bundle import Pulled, Verified
    from condstore.fetching import Fetched
    from condstore.producer import StreamReport as Streamed
    from condstore.results import Blob


def streamed(report: Streamed) -> str:
    """Say what a stream came to."""
    return (
        f"{plural(report.segments, 'segment')}, {size(report.size)}, {report.seconds:.1f} s "
        f"({report.rate:.0f}/s), LSN {report.lsn}"
    )


def put(blob: Blob, name: str) -> str:
    """Write a stored payload as `sha256sum` would."""
    return f"{blob.digest}  {name}"


def fetched(done: Fetched) -> str:
    """Say what lies where, and that it is what was asked for."""
    return f"{done.path}: {size(done.size)}, {done.digest} agrees"


def pulled(done: Pulled) -> list[str]:
    """Say what is in the bundle, and how far it is proven."""
    there = "holds" if done.new else "was there already, and holds"
    proof = (
        "its fingerprint is proven"
        if done.proof == "fingerprint"
        else "as the server told it; --prove reads the whole tag for the proof"
    )
    amount = f"{plural(done.payload_iovs, 'IOV')}, {plural(done.payloads, 'payload')} inside"
    return [
        f"{done.path} {there}",
        f"  {done.reference}",
        f"  {amount} ({size(done.payload_bytes)}), {size(done.size)} in all",
        f"  {proof}",
    ]


def sound(found: Verified) -> list[str]:
    """Say that a bundle is what it was when it was written."""
    about = found.described
    proof = "give its fingerprint" if found.recomputed else "are as they were written"
    return [
        f"{about.path} holds",
        f"  {about.reference}",
        f"  {plural(found.rows, 'row')} {proof}, {plural(found.payloads, 'payload')} hashed",
        "nothing wrong",
    ]
