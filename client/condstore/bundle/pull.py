"""Pulling a bundle: read what was frozen, prove it, write all of it or nothing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.bundle import kept
from condstore.bundle.payloads import keep_beside, keep_inside
from condstore.bundle.staging import keep_rows
from condstore.bundle.wanted import wanted
from condstore.bundle.writing import Writer, unnamed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from condstore.bundle.told import Progress, Pulled, Tell, Told
    from condstore.moments import When


def _silent(_: Progress) -> None:
    """Tell nobody."""


def pull(  # noqa: PLR0913 - each is said by its name
    client: Told,
    ref: str,
    path: Path | str,
    *,
    begin: When | None = None,
    end: When | None = None,
    payload_types: Sequence[str] = (),
    payloads: bool | Path | str = True,
    prove: bool = False,
    force: bool = False,
    tell: Tell = _silent,
) -> Pulled:
    """Write a bundle of what was frozen as `ref`, for [begin, end) and these types, or for all.

    `payloads` True puts their bytes inside, a directory beside it, False leaves them out. With
    `prove` the whole tag is read, whatever is kept of it. The same again changes nothing; another
    file of that name is replaced with `force` only.

    Raises:
        NotFound: no such tag or payload type.
        UsageError: the tag is not frozen, the range is empty, or there is another file.
        NotProven: what the server tells does not give the tag's fingerprint.
        DamagedBundle: the bundle that is there already.
    """
    path, directory = Path(path), None if isinstance(payloads, bool) else Path(payloads)
    where = "beside" if directory else "inside" if payloads else "none"
    about = wanted(client, ref, (begin, end), payload_types, prove=prove, payloads=where)
    new = force or not path.exists()
    if new:
        try:
            with unnamed(path, force=force) as part, closing(Writer(part)) as writer:
                keep_rows(client, about, writer, tell)
                if where == "inside":
                    keep_inside(client, writer, tell)
                writer.finish(about)
        except FileExistsError:  # another pull was faster
            new = False
    if not new:
        kept.refuse_another(path, about)
    if directory is not None:
        keep_beside(client, path, directory, tell)
    return kept.pulled(path, new=new)
