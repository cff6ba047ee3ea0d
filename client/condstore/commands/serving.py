"""`condstore up|demo`: the servers started here."""
# ruff: noqa: PLC0415, D301
# as in tags.py

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from condstore.commands.options import terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from condstore.terminal import Terminal


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

    to = terminal()
    both = tiers.plans(os.environ)
    with until_stopped(), tiers.running(both, _prefixed(to)) as running:
        url = both[1].address.url
        to.say(to.bold(f"both tiers serve; status page {url}/ - Ctrl-C stops them"))
        to.say(f"elsewhere: export CONDSTORE_URL={url} DB_BURL={both[0].address.url}/")
        running.watch()
    to.say("both tiers are stopped")


def _prefixed(to: Terminal) -> Callable[[str, str], None]:
    from condstore.up import named

    return lambda name, line: to.say(named(name, line, to.dim(f"{name:10} |")))


def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep serving at the end, until Ctrl-C.")
    ] = False,
) -> None:
    """Show everything once, with real detector data.

    \b
      condstore demo
      condstore demo --serve

    Starts both servers on var/ as `up` does, streams one second of three detectors, freezes,
    resolves, downloads, verifies, and checks each step. Exit status 0 if every step held. Again
    on the same var/ it keeps everything earlier.
    """
    from condstore import demo as show_all

    to = terminal()
    show_all.run(os.environ, to, serve=serve)
    if serve:
        to.say("both tiers are stopped; the data stay where they are")
