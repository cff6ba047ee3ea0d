"""This machine: Python and packages, the cache, the disk, the terminal, the shell's completion."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.doctor.finding import Finding, bad, good, warn
from condstore.plot.terminal import ASCII, glyphs_for
from condstore.terminal import plural, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from condstore.config import Settings

_OLDEST = (3, 11)
_PACKAGES = ("requests", "aiohttp", "orjson", "rich", "typer")
_LITTLE, _NOTHING = 1 << 30, 50 << 20  # bytes of disk
_COMPLETIONS = {
    "bash": ".bash_completions/condstore.sh",
    "zsh": ".zfunc/_condstore",
    "fish": ".config/fish/completions/condstore.fish",
}


def findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Say how this machine is."""
    yield from _cache(settings)
    yield _disk(Path())
    yield _python()
    yield _packages()
    yield _terminal(environ)
    yield from _completion(environ)


def _cache(settings: Settings) -> Iterator[Finding]:
    path = settings.cache
    if path is None:
        do = "export CONDSTORE_CACHE=<directory>: a node downloads once"
        yield good("cache", "none: jobs ask the servers for everything", do)
        return
    there = next(one for one in (path, *path.absolute().parents) if one.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        said = f"{path}: {there} cannot be written to"
        yield bad("cache", said, "make it writable, or name another directory in CONDSTORE_CACHE")
    elif there != path:
        yield good("cache", f"{path} is made when it is first used")
    else:
        yield _held(settings, path)


def _held(settings: Settings, path: Path) -> Finding:
    from condstore.cache import Cache  # noqa: PLC0415 - only where there is one

    try:
        held = Cache(path, limit=settings.cache_bytes).statistics()
    except OSError as error:
        return bad("cache", f"{path}: {error.strerror or error}", "name another CONDSTORE_CACHE")
    room = settings.cache_bytes - held.size
    free = shutil.disk_usage(path).free
    said = (
        f"{path}: {plural(held.payloads, 'payload')}, {size(held.size)} of "
        f"{size(settings.cache_bytes)}, {size(free)} free on its disk"
    )
    if free < min(room, _LITTLE):
        return warn("cache", said, "give its disk room, or lower CONDSTORE_CACHE_BYTES")
    return good("cache", said)


def _disk(here: Path) -> Finding:
    try:
        folder, free = here.absolute(), shutil.disk_usage(here).free
    except OSError as error:
        said = f"the working directory is gone ({error.strerror})"
        return bad("disk", said, "cd to another one")
    said = f"{size(free)} free at {folder}"
    if free < _NOTHING:
        return bad(
            "disk", said, "downloads and bundles need room: delete something, or cd elsewhere"
        )
    if not os.access(here, os.W_OK):
        return warn("disk", f"{folder} cannot be written to", "give -o a path, or cd elsewhere")
    if free < _LITTLE:
        return warn("disk", said, "make room before pulling a bundle")
    return good("disk", said)


def _python() -> Finding:
    said = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < _OLDEST:
        return bad("python", said, "condstore needs Python 3.11 or newer")
    return good("python", said)


def _packages() -> Finding:
    found = {name: _version(name) for name in ("condstore", *_PACKAGES)}
    missing = [name for name, version in found.items() if version is None]
    if missing:
        return bad("packages", f"missing: {', '.join(missing)}", "pip install condstore")
    return good("packages", ", ".join(f"{name} {version}" for name, version in found.items()))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _terminal(environ: Mapping[str, str]) -> Finding:
    # `sys.stdout` may be a moving line's, for the time of the examination
    encoding = (sys.__stdout__ and sys.__stdout__.encoding) or "ascii"
    colour = "no colour" if environ.get("NO_COLOR") else "colour"
    columns = shutil.get_terminal_size().columns
    said = f"{environ.get('TERM') or 'no TERM'}, {columns} columns, {encoding}, {colour}"
    if glyphs_for(encoding) is ASCII:
        return warn("terminal", said, "export LANG=C.UTF-8: until then timelines are plain ASCII")
    return good("terminal", said)


def _completion(environ: Mapping[str, str]) -> Iterator[Finding]:
    shell = Path(environ.get("SHELL") or "").name
    if shell in _COMPLETIONS and environ.get("HOME"):
        there = Path(environ["HOME"], _COMPLETIONS[shell]).exists()
        do = "" if there else "condstore --install-completion"
        yield good("completion", f"{shell}: {'installed' if there else 'not installed'}", do)
