"""Reading a backup: its segments in their order, and the payloads they name, in several threads."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from condstore.backup.links import Broken
from condstore.backup.segments import in_file, lines_of
from condstore.errors import DamagedBackup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import TypeVar

    from condstore.backup.links import Links
    from condstore.backup.record import Segment

    T = TypeVar("T")

_THREADS: Final = 4
_TOGETHER: Final = 64  # names for one call into a thread
_AHEAD: Final = 4096  # names under way


def read(folder: Path, segment: Segment, links: Links) -> tuple[bytes, list[bytes]]:
    """Return the bytes of a segment's file and its lines, after following them along the chain.

    Raises `DamagedBackup` if one byte is not as it was written.
    """
    where = f"ledger/{segment.name}"
    try:
        raw, _ = in_file(folder / segment.name, segment)
        lines = list(lines_of(raw))
        for line in lines:
            links.follow(line)
    except FileNotFoundError:
        raise DamagedBackup(f"{where} is missing") from None
    except (OSError, ValueError, Broken) as error:
        raise DamagedBackup(f"{where} is damaged: {error}") from error
    if links.lsn != segment.last:
        raise DamagedBackup(f"{where} ends at LSN {links.lsn}, not at {segment.last}")
    return raw, lines


def of_each(work: Callable[[str], T], names: Iterable[str]) -> Iterator[T]:
    """Yield what `work` returns for each name, done in several threads, in their order."""

    def some(batch: tuple[str, ...]) -> list[T]:
        return [work(name) for name in batch]

    rest = iter(names)
    with ThreadPoolExecutor(_THREADS) as pool:
        while ahead := list(itertools.islice(rest, _AHEAD)):
            batches = (tuple(ahead[at : at + _TOGETHER]) for at in range(0, len(ahead), _TOGETHER))
            for done in pool.map(some, batches):
                yield from done
