"""What many commands take: the options, and how a command reaches servers and screen.

Names are completed by asking the server (`completing`); nothing here imports the library's HTTP.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from condstore.commands import completing
from condstore.config import Settings, parse_urls
from condstore.errors import UsageError
from condstore.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from condstore.access import Access
    from condstore.cache import Cache
    from condstore.client import Client
    from condstore.moments import Moment

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The logic tier, in place of CONDSTORE_URL."),
]
BufferUrl = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The databuffer, in place of DB_BURL."),
]
Offline = Annotated[
    Path | None,
    typer.Option("--offline", metavar="BUNDLE", help="Ask this bundle, no server."),
]
CacheFolder = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help="Keep payloads here, in place of CONDSTORE_CACHE."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Say what would be done; change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; for scripts.")]
User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="Who does it, for the history (default: USER)."),
]
Tag = Annotated[
    str, typer.Argument(metavar="TAG", help="A global tag.", autocompletion=completing.tags)
]
Ref = Annotated[
    str,
    typer.Argument(
        metavar="TAG",
        help="A global tag; TAG@<fingerprint> or TAG@<LSN> for what it was.",
        autocompletion=completing.tags,
    ),
]
TypeArgument = Annotated[
    str,
    typer.Argument(metavar="TYPE", help="A payload type.", autocompletion=completing.types),
]
PayloadType = Annotated[
    str | None,
    typer.Option(
        "--type", metavar="TYPE", help="The payload type.", autocompletion=completing.types
    ),
]
Begin = Annotated[
    str | None, typer.Option("--begin", metavar="MOMENT", help="From here on (default: the start).")
]
End = Annotated[str | None, typer.Option("--end", metavar="MOMENT", help="Up to here, excluded.")]


def span(begin: str | None, end: str | None) -> tuple[Moment | None, Moment | None]:
    """Return the moments of --begin and --end; raise `UsageError` naming the option."""
    from condstore.moments import Moment  # noqa: PLC0415 - `--help` never pays for it

    first, last = (Moment.parse(text) if text else None for text in (begin, end))
    if first is not None and last is not None and last <= first:
        raise UsageError(f"--end {end} does not come after --begin {begin}")
    return first, last


def group(noun: str, text: str) -> typer.Typer:
    """Return an empty group of commands, such as `condstore tag`."""
    return typer.Typer(name=noun, no_args_is_help=True, rich_markup_mode=None, help=text)


def settings() -> Settings:
    """Read the environment."""
    return Settings.from_environ(os.environ)


def terminal() -> Terminal:
    """Return where to write."""
    return Terminal.standard(colour=Settings.allows_colour(os.environ))


def urls(url: str | None) -> tuple[str, ...]:
    """Return the logic tier's base URLs."""
    return parse_urls(url, "--url") if url else settings().urls


def databuffer(url: str | None) -> tuple[str, Access]:
    """Return the databuffer's base URL, and what it is shown."""
    known = settings()
    return parse_urls(url, "--url")[0] if url else known.buffer_url, known.buffer_access


def client(url: str | None, *, user: str | None = None) -> Client:
    """Return a client of the servers, that writes in the name of `user`."""
    from condstore.client import Client  # noqa: PLC0415 - `--help` never pays for it

    return Client(urls(url), user=user or settings().user)


def reader(url: str | None, offline: Path | None, cache: Path | None = None) -> Client:
    """Return a client for reads: of a bundle, or of the servers and a cache if there is one."""
    from condstore.client import Client  # noqa: PLC0415 - `--help` never pays for it

    if offline is None:
        return Client(urls(url), cache=_cache(cache))
    if url:
        raise UsageError("--offline asks a bundle and --url a server: give one of them")
    return Client.offline(offline)


def _cache(folder: Path | None) -> Cache | None:
    """Return the local cache that is asked for, if any."""
    known = settings()
    where = folder or known.cache
    if where is None:
        return None
    from condstore.cache import Cache  # noqa: PLC0415 - only who has one pays for it

    return Cache(where, limit=known.cache_bytes)


def say_all(to: Terminal, lines: Iterable[str]) -> None:
    """Print the lines of a result."""
    for line in lines:
        to.say(line)


def answer(to: Terminal, value: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print a result: its lines, or the one JSON document it is."""
    from condstore import show  # noqa: PLC0415 - `--help` never pays for it

    say_all(to, [show.as_json(value)] if as_json else lines)


def foretold(
    to: Terminal, planned: object, lines: list[str], refused: str | None, *, as_json: bool
) -> NoReturn:
    """End a dry run: print what would be done and why it would be refused, which is status 1."""
    more = [to.bad(f"refused: {refused}")] if refused else []
    answer(to, planned, [*lines, *more], as_json=as_json)
    raise typer.Exit(1 if refused else 0)
