"""The `condstore` command: parse, call one function of the library, show what it returned.

Exit status: 0 done; 1 refused or failed; 2 used wrongly; 3 no server answers; 130 interrupted.
An expected failure is one line on standard error. The library is imported inside the commands, so
that `--help` is quick.
"""
# ruff: noqa: PLC0415, PLR0913, PLR0917, D301
# imports inside the commands keep `--help` quick; a command's parameters are its options; click
# wants a real backspace before the lines of an example

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.config import Settings, parse_urls
from condstore.errors import CondstoreError, UsageError
from condstore.terminal import Terminal, plural, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.client import Client

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Stream payloads into a conditions datastore, freeze, and ask what holds at a moment.

\b
  condstore up                          start both servers here
  condstore stream L1.hdf5              stream strain, in 300-sample segments
  condstore freeze                      freeze the buffer: now a training set
  condstore resolve stream 968654552.5  which payloads hold at this second?
  condstore get stream 968654552.5 --type L1:LDAS-STRAIN

\b
Servers:      CONDSTORE_URL (default http://localhost:5000; several separated
              by commas); verify: DB_BURL (default http://localhost:8080/)
Exit status:  0 done, 1 refused or failed, 2 used wrongly, 3 server away,
              130 interrupted
""",
)

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The logic tier, in place of CONDSTORE_URL."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
PayloadType = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="The payload type.")
]


def main() -> None:
    """Run the command; say an expected failure in one line."""
    try:
        app()
    except CondstoreError as error:
        _terminal().complain(f"condstore: {error}")
        sys.exit(error.exit_code)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _terminal().complain(f"condstore: {where}{error.strerror or error}")
        sys.exit(1)


def _settings() -> Settings:
    return Settings.from_environ(os.environ)


def _terminal() -> Terminal:
    return Terminal.standard(colour=Settings.allows_colour(os.environ))


def _urls(url: str | None) -> tuple[str, ...]:
    return parse_urls(url, "--url") if url else _settings().urls


def _client(url: str | None) -> Client:
    from condstore.client import Client

    return Client(_urls(url))


@app.command()
def up() -> None:
    """Start databuffer and logic tier here, until Ctrl-C.

    \b
      condstore up
      SERVURL=127.0.0.1:8090 PORT=5090 \\
        VOLUME_ROOT=var2/volume VIEW_PATH=var2/view.sqlite condstore up

    SERVURL and HOST, PORT say where they listen, VOLUME_ROOT and VIEW_PATH where they keep their
    data; envsetup.sh lists every variable. Ctrl-C or SIGTERM stops both, logic tier first. Exit
    status 0 after that, 1 if a port is busy or a server dies.
    """
    from condstore import up as tiers
    from condstore.interrupts import until_stopped

    terminal = _terminal()
    both = tiers.plans(os.environ)
    with until_stopped(), tiers.running(both, _prefixed(terminal)) as running:
        url = both[1].address.url
        terminal.say(terminal.bold(f"both tiers serve; status page {url}/ - Ctrl-C stops them"))
        terminal.say(f"elsewhere: export CONDSTORE_URL={url} DB_BURL={both[0].address.url}/")
        running.watch()
    terminal.say("both tiers are stopped")


def _prefixed(terminal: Terminal) -> Callable[[str, str], None]:
    return lambda name, line: terminal.say(f"{terminal.dim(f'{name:10} |')} {line}")


@app.command()
def stream(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Strain files, or a payload.")
    ],
    payload_type: PayloadType = None,
    channel: Annotated[
        list[str] | None, typer.Option("--channel", help="Only this channel (may be repeated).")
    ] = None,
    major: Annotated[int | None, typer.Option(help="IOV start: run, or GPS seconds.")] = None,
    minor: Annotated[int, typer.Option(help="IOV start: lumi section, or nanoseconds.")] = 0,
    end: Annotated[
        str | None, typer.Option(metavar="MOMENT", help="IOV end, excluded; without: open.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="The global tag (default: the stream's).")] = None,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=256, help="Requests at once.")
    ] = 16,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Stream strain files as segments, or any file as a payload.

    \b
      condstore stream H-H1_LOSC_4_V1-1126259446-32.hdf5
      condstore stream HLV-968654552-1.gwf --channel H1:LDAS-STRAIN
      condstore stream noise.txt --type L1:NOISE
      condstore stream segment.json --type L1:LDAS-STRAIN
      condstore stream beam.root --type Beam --major 1200 --tag 2026-prompt

    HDF5 (gwpy's and open data's), GWF and two-column text files are cut into segments of 300
    samples, each channel its own payload type; a JSON file {"h":[...],"t":[t0,dt]} is one segment.
    With --major any file is one payload, which holds from that moment on. The same again is
    harmless: nothing is stored twice.
    """
    from condstore import show, streaming

    terminal, client = _terminal(), _client(url)
    if major is not None:
        where = streaming.validity(major, minor, end, tag)
        for path in files:
            stored = streaming.payload(client, path, payload_type, where)
            said = f"{path.name}: stored as {payload_type}, ledger at LSN {stored.lsn}"
            terminal.say(show.as_json(stored) if as_json else said)
        return
    if tag or end or minor:
        raise UsageError("--minor, --end and --tag say where a payload holds: they need --major")
    period = client.period(_settings().stream_tag)
    for path in files:
        todo = streaming.work(path, payload_type, tuple(channel or ()))
        with terminal.progress(path.name, todo.segments, "segments") as advance:
            report = streaming.run(
                todo,
                _urls(url),
                period=period,
                in_flight=in_flight,
                advance=advance,
            )
        said = f"{path.name}: {show.streamed(report)}"
        terminal.say(show.as_json(report) if as_json else said)


@app.command()
def freeze(
    tag: Annotated[
        str | None, typer.Argument(help="The global tag; without: the streaming buffer.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Who freezes (default: USER).")] = None,
    token: Annotated[str, typer.Option(help="Kept only as a short hash.")] = "condstore",  # noqa: S107 - the twin asks for one, it opens nothing
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Freeze the streaming buffer once it is full, or a global tag.

    \b
      condstore freeze
      condstore freeze 2026-prompt --user alice

    The buffer is full from MAX_SIZE bytes on (a setting of the server); before, it is left as it
    is and the exit status is 1. Freezing twice is harmless.
    """
    from condstore import show
    from condstore.client import Client

    terminal, client, who = _terminal(), _client(url), user or _settings().user
    if tag is not None:
        frozen = Client(_urls(url), user=who).freeze_tag(tag, report=False)
        said = f"{frozen.tag} is frozen, for ever {frozen.reference}"
        terminal.say(show.as_json(frozen) if as_json else said)
        return
    asked = client.freeze_buffer(who, token)
    held = client.buffer()
    amount = f"{plural(held.files, 'file')}, {size(held.size)}"
    said = f"the buffer is frozen: {amount}" if asked.frozen else f"{asked.answer} ({amount} now)"
    terminal.say(show.as_json(asked) if as_json else said)
    if not asked.frozen:
        raise typer.Exit(1)


@app.command()
def resolve(
    tag: Annotated[str, typer.Argument(help="A global tag.")],
    moment: Annotated[str, typer.Argument(help="968654552.25, 1200:17 or 1200.")],
    payload_type: PayloadType = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say which payloads hold at a moment, and for how long.

    \b
      condstore resolve stream 968654552.25
      condstore resolve 2026-prompt 1200:17 --type Beam --json

    A moment is GPS seconds with decimals, or major:minor (run and lumi section). Where nothing
    holds there is a gap and no payload, never an expired one. Exit status 1 if nothing holds.
    """
    from condstore import show
    from condstore.moments import Moment

    terminal, asked = _terminal(), Moment.parse(moment)
    found = _client(url).resolve(tag, asked, payload_type)
    written = Moment.gps if "." in moment else Moment.pair
    lines = [show.as_json(found)] if as_json else show.resolution(found, written, terminal)
    for line in lines:
        terminal.say(line)
    if not found.payloads:
        raise typer.Exit(1)


@app.command()
def get(
    what: Annotated[str, typer.Argument(help="sha256:<digest>, or a global tag.")],
    moment: Annotated[str | None, typer.Argument(help="With a tag: the moment.")] = None,
    payload_type: PayloadType = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; - for a pipe.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace another file.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Download a payload and check it against its digest.

    \b
      condstore get sha256:<64 digits>
      condstore get stream 968654552.25 --type H1:LDAS-STRAIN -o h1.json
      condstore get 2026-prompt 1200:17 --type Beam -o - | head -c 100

    The file gets its name only when every byte has come and the digest agrees. A file that is
    there already with the same content is left alone; another is replaced with --force only.
    """
    from condstore import fetching, show

    terminal, client = _terminal(), _client(url)
    wanted = fetching.find(client, what, moment, payload_type)
    if output == Path("-"):
        sys.stdout.buffer.write(client.payload(wanted.digest))
        return
    target = output or Path(wanted.name)
    with terminal.progress(f"{target}", wanted.size or 0, "bytes") as advance:
        fetched = fetching.fetch(client, wanted, target, force=force, tell=advance)
    said = f"{fetched.path}: {size(fetched.size)}, {fetched.digest} agrees"
    terminal.say(show.as_json(fetched) if as_json else said)


@app.command()
def status(url: Url = None, as_json: AsJson = False) -> None:
    """Say how the servers, the buffer and the global tags are.

    \b
      condstore status
      condstore status --json

    Exit status 3 if no server answers.
    """
    from condstore import show

    terminal, client = _terminal(), _client(url)
    ready, buffer, tags = client.readiness(), client.buffer(), client.tags()
    if as_json:
        terminal.say(
            show.as_json({"logic": client.url, "ready": ready, "buffer": buffer, "tags": tags})
        )
        return
    for line in show.status(client.url, ready, buffer, tags, terminal):
        terminal.say(line)


@app.command()
def verify(
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Download and hash every payload too.")
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The databuffer, in place of DB_BURL."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole ledger and every payload it names.

    \b
      condstore verify
      DB_BURL=http://buffer:8080/ condstore verify --payloads --json

    Every entry must follow the one before it by number and by hash, and carry its own checksum;
    every payload must be there in its size, with --payloads byte for byte. Exit status 1 and one
    line a problem otherwise. Reads only.
    """
    from condstore import show
    from condstore.verify import verify as check

    terminal = _terminal()
    base = parse_urls(url, "--url")[0] if url else _settings().buffer_url
    with terminal.stages() as tell:
        report = check(base, payloads=payloads, tell=tell)
    lines = [show.as_json(report)] if as_json else show.verified(report, terminal)
    for line in lines:
        terminal.say(line)
    if report.problems:
        raise typer.Exit(1)


@app.command()
def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep serving at the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Show everything once, with real detector data.

    \b
      condstore demo
      condstore demo --serve
      SERVURL=127.0.0.1:8090 PORT=5090 condstore demo

    Starts both servers on var/ as `up` does, streams one second of three detectors, freezes,
    resolves, downloads, verifies, and checks each step. Exit status 0 if every step held. Again
    on the same var/ it keeps everything earlier.
    """
    from condstore import demo as show_all

    terminal = _terminal()
    show_all.run(os.environ, terminal, serve=serve)
    if serve:
        terminal.say("both tiers are stopped; the data stay where they are")
