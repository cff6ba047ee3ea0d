"""A databuffer whose power may be cut: what it did not sync is gone.

A kill leaves the kernel's cache, so it cannot tell whether anything was synced. Run as a program
this is the databuffer with `os.open`, `mkdir`, `fsync`, `fdatasync` and `syncfs` watched. POWER_CUT
names a folder which then holds what a disk would that does the least the standard allows: of a file
the bytes it had when it was last synced, of a directory the names it had when it was last synced.
`after_the_cut` makes a volume of that.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import shutil
import stat
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers import databuffer_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from servers import Running

ROOT = "0"


def databuffer_on_mains(folder: Path, **environ: str) -> Running:
    """Return a databuffer with the volume `folder/volume`, not yet started, to cut the power of."""
    (folder / "volume").mkdir()
    (folder / "durable").mkdir()
    running = databuffer_at(folder, POWER_CUT=str(folder / "durable"), **environ)
    running.command = [sys.executable, __file__]
    return running


def after_the_cut(folder: Path, choose: Random) -> None:
    """Put in place of `folder/volume` what is left of it after the power was cut.

    Of what was appended to the ledger and not synced, any part may have reached the disk.
    """
    lost = (folder / "volume").rename(folder / "lost")
    _restore(folder / "durable", ROOT, folder / "volume")
    for path in (folder / "volume/ledger").glob("*.jsonl"):
        if not (lost / "ledger" / path.name).exists():
            continue  # removed, and that was not durable yet
        durable, written = path.read_bytes(), (lost / "ledger" / path.name).read_bytes()
        if len(written) > len(durable) and written.startswith(durable):
            path.write_bytes(written[: choose.randrange(len(durable), len(written))])
    shutil.rmtree(lost)


def _restore(durable: Path, directory: str, target: Path) -> None:
    target.mkdir()
    listing = durable / f"{directory}.json"
    names = json.loads(listing.read_bytes()) if listing.exists() else {}
    for name, (identity, is_directory) in names.items():
        if is_directory:
            _restore(durable, identity, target / name)
        elif (durable / identity).exists():
            shutil.copyfile(durable / identity, target / name)
        else:
            (target / name).touch()


class Disk:
    """What is durable under a volume. A name that is used again is another file."""

    def __init__(self, volume: Path, durable: Path) -> None:
        self._volume, self._durable = volume.resolve(), durable
        self._identities: dict[int, str] = {volume.stat().st_ino: ROOT}
        self._made = 0
        self._lock = threading.Lock()

    @contextmanager
    def making(self) -> Iterator[Callable[[int], object]]:
        """Let nothing be synced until what is made is noted: nothing of it is durable.

        Otherwise a new file would pass for a removed one that had its inode.
        """
        with self._lock:
            yield self._new

    def all_synced(self, _path: Path) -> None:
        """Note that everything on the file system is durable now."""
        for directory, _, names in os.walk(self._volume, topdown=False):
            for path in (*(Path(directory) / name for name in names), Path(directory)):
                with suppress(FileNotFoundError):  # removed since it was listed
                    descriptor = os.open(path, os.O_RDONLY)
                    self.synced(descriptor)
                    os.close(descriptor)

    def synced(self, descriptor: int) -> None:
        """Note that a file's bytes, or a directory's names, are durable now."""
        path = Path(f"/proc/self/fd/{descriptor}")
        if not str(path.readlink()).startswith(str(self._volume)):
            return
        found = os.fstat(descriptor)
        with self._lock:
            identity = self._identity(found.st_ino)
            if stat.S_ISDIR(found.st_mode):
                names = {
                    entry.name: (self._identity(entry.inode()), entry.is_dir())
                    for entry in os.scandir(path)
                }
                self._keep(f"{identity}.json", json.dumps(names).encode())
            else:
                self._keep(identity, path.read_bytes())

    def _new(self, inode: int) -> str:
        self._made += 1
        self._identities[inode] = str(self._made)
        return self._identities[inode]

    def _identity(self, inode: int) -> str:
        return self._identities.get(inode) or self._new(inode)

    def _keep(self, name: str, content: bytes) -> None:
        temporary = self._durable / "temporary"
        temporary.write_bytes(content)
        temporary.replace(self._durable / name)


def _watch(disk: Disk) -> None:
    """Let the disk see every call that makes a file or syncs one."""
    plain_open, plain_mkdir = os.open, os.mkdir

    def watched_open(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        unnamed = flags & os.O_TMPFILE == os.O_TMPFILE
        if not unnamed and not flags & os.O_CREAT:
            return plain_open(path, flags, *rest, **more)
        with disk.making() as note:
            new = unnamed or not os.path.lexists(path)
            descriptor = plain_open(path, flags, *rest, **more)
            if new:
                note(os.fstat(descriptor).st_ino)
        return descriptor

    def watched_mkdir(path: Any, *rest: Any, **more: Any) -> None:
        with disk.making() as note:
            plain_mkdir(path, *rest, **more)
            note(Path(path).stat().st_ino)

    def watched(call: Any) -> Any:
        def sync(descriptor: int) -> None:
            call(descriptor)
            disk.synced(descriptor)

        return sync

    os.open, os.mkdir = watched_open, watched_mkdir
    os.fsync, os.fdatasync = watched(os.fsync), watched(os.fdatasync)


if __name__ == "__main__":
    _disk = Disk(Path(os.environ["VOLUME_ROOT"]), Path(os.environ["POWER_CUT"]))
    _watch(_disk)
    sys.path[0] = str(Path.cwd())
    importlib.import_module("databuffer.store.atomic").sync_file_system = _disk.all_synced  # type: ignore[attr-defined]
    runpy.run_module("databuffer", run_name="__main__", alter_sys=True)
