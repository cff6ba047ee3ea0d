"""Payloads on a local disk, each a file named by its digest, verified whenever it is opened.

Removing one removes the name only: who has it open reads on. A file that vanishes between the look
and the opening is fetched again, and so is one that is not what its name says. What a full,
read-only or broken directory cannot do is done without it, with one warning (`Troubles`): a job
never fails for its cache.
"""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from condstore import landing
from condstore.cache import seals
from condstore.cache.downloads import Download, Inbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from condstore.cache.counts import Counts
    from condstore.cache.folder import Folder
    from condstore.cache.room import Room
    from condstore.cache.troubles import Troubles
    from condstore.digests import Digest

_CHUNK = 1 << 20

Fetch: TypeAlias = "Callable[[], AbstractContextManager[Iterator[bytes]]]"
"""Begins a download and gives its pieces."""


class Payloads:
    """The payloads in a folder."""

    def __init__(self, folder: Folder, room: Room, counts: Counts, troubles: Troubles) -> None:
        self._folder = folder
        self._inbox = Inbox(folder, room, counts, troubles)
        self._counts = counts
        self._troubles = troubles

    def open(self, digest: Digest, fetch: Fetch) -> BinaryIO:
        """Open a payload at its first byte, all of it verified; `fetch` it if it is not here.

        Raises what `fetch` raises, and `DamagedPayload`; never for the directory's own sake.
        """
        found = self._found(digest)
        if isinstance(found, Download):
            found = _downloaded(found, fetch)
        if found is not None:
            return found
        with fetch() as chunks:
            return landing.spool(chunks, digest)

    @contextlib.contextmanager
    def pieces(self, digest: Digest, fetch: Fetch) -> Iterator[Iterator[bytes]]:
        """Give a payload piece by piece, as it comes if it is not here; it is here afterwards.

        Not verified before the last piece: the reader checks. Raises as `open` does.
        """
        found = self._found(digest)
        with contextlib.ExitStack() as stack:
            if found is None:
                yield stack.enter_context(fetch())
            elif isinstance(found, Download):
                stack.enter_context(found.reader)
                stack.callback(found.leave)
                yield found.passed(stack.enter_context(fetch()))
            else:
                file = stack.enter_context(found)
                yield iter(lambda: file.read(_CHUNK), b"")

    def _found(self, digest: Digest) -> BinaryIO | Download | None:
        """Return the payload if it is here, else the right to download it; None: help yourself."""
        try:
            kept = self._kept(digest)
            if kept is not None:
                self._counts.add("payload_hits")
                return kept
            self._counts.add("payload_misses")
            download = self._inbox.begun(digest)
            if download is None:
                return None
            kept = self._kept(digest)  # landed by the one we waited for
        except OSError as error:
            self._troubles.tell(error)
            return None
        if kept is None:
            return download
        download.reader.close()
        download.leave()
        return kept

    def _kept(self, digest: Digest) -> BinaryIO | None:
        """Open the payload if it is here and whole; drop it if it is not what it was."""
        try:
            file = self._folder.open("payloads", digest.hex, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError:  # a link, or a name for nothing that can be read
            self._drop(digest)
            return None
        reader = os.fdopen(file, "rb")
        try:
            whole = seals.holds(reader, digest)
        except OSError:  # the disk cannot give it back
            whole = False
        if whole:
            seals.touch(file)
            return reader
        reader.close()
        self._drop(digest)
        return None

    def _drop(self, digest: Digest) -> None:
        self._counts.add("damaged")
        self._folder.unlink("payloads", digest.hex)


def _downloaded(download: Download, fetch: Fetch) -> BinaryIO | None:
    """Return the payload at its first byte, or None if the directory did not take all of it."""
    try:
        with fetch() as chunks:
            for _ in download.passed(chunks):
                pass
    except BaseException:
        download.reader.close()
        raise
    finally:
        download.leave()
    if download.complete:
        return download.reader
    download.reader.close()
    return None
