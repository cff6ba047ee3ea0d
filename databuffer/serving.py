"""Serving from the first line of the log to the last, until SIGTERM or Ctrl-C.

One line on stdout when ready; one line on stderr, and exit 1, when it cannot start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from databuffer import logs
from databuffer.app import VOLUME_LEDGER, create_app
from databuffer.config import Authentication, Config
from databuffer.errors import DatabufferError
from databuffer.spelling import misspelt
from databuffer.watched import Watched
from databuffer.web import keys
from databuffer.web.listening import Listener
from databuffer.web.server import Runner
from databuffer.web.tls import Certificate
from databuffer.web.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp import web

_log = logging.getLogger("databuffer")
_READ_BUFFER = 1 << 18
_LAST_SECONDS = 1.0  # for handlers that outstay SHUTDOWN_GRACE, twice


def main() -> int:
    """Serve; give the exit status."""
    try:
        config = Config.from_environ(os.environ)
        logs.begin(config.log_format, config.log_level)
        _warn_if_open(config)
        _warn_if_misspelt()
        _allow_many_files()
        return asyncio.run(serve(config))
    except (DatabufferError, OSError) as error:
        sys.stderr.write(f"databuffer: cannot start: {_one_line(error)}\n")
        return 1


def _warn_if_open(config: Config) -> None:
    if config.authentication is Authentication.OFF:
        _log.warning("AUTH=off: everybody who reaches %s:%d may do all", config.host, config.port)


def _warn_if_misspelt() -> None:
    for line in misspelt(os.environ, "databuffer"):
        _log.warning("%s", line)


def _allow_many_files() -> None:
    """Take as many open files, connections among them, as may be had: often 1024 are preset.

    Where they run out, nobody is accepted any more, and asyncio fills the log with saying so.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _one_line(error: Exception) -> str:
    """Say what and, where the file system refused, where."""
    cause = error.__cause__ if isinstance(error, DatabufferError) else error
    place = getattr(cause, "filename", None)
    return f"{error}: {place}" if place and str(place) not in str(error) else str(error)


async def serve(config: Config) -> int:
    """Serve until told to stop (0) or until the ledger fails (1)."""
    stop, hurry = _stop_signals()
    app = create_app(config)
    runner = Runner(
        app,
        access_log=None,
        shutdown_timeout=_LAST_SECONDS,
        read_bufsize=_READ_BUFFER,
        keepalive_timeout=75,
        header_timeout=config.header_timeout,
    )
    async with _certificate(config) as certificate:
        await runner.setup()
        try:
            listener = Listener(config, runner.make_connection, certificate, app[keys.METRICS])
            await listener.open()
            _announce(config, app, listener)
            failed = await _first(stop, app[VOLUME_LEDGER].failed)
            if not failed and config.drain_seconds:
                failed = await _take_leave(app, config.drain_seconds, hurry)
            await _drain(listener, app, config.shutdown_grace)
        finally:
            await runner.cleanup()
    return 1 if failed else 0


@asynccontextmanager
async def _certificate(config: Config) -> AsyncIterator[Certificate | None]:
    """Follow the files of the certificate, where there is one."""
    if config.tls_cert is None or config.tls_key is None:
        yield None
        return
    certificate = Certificate(config.tls_cert, config.tls_key)
    async with Watched(certificate.paths, certificate.take).followed():
        yield certificate


def _stop_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return what SIGTERM and a terminal that closes set; Ctrl-C sets both: a person waits."""
    loop, stop, hurry = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def hurried() -> None:
        stop.set()
        hurry.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, hurried)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        loop.add_signal_handler(signal.SIGHUP, stop.set)
    return stop, hurry


def _announce(config: Config, app: web.Application, listener: Listener) -> None:
    head = app[VOLUME_LEDGER].head()
    _log.info("configuration: %s", config)
    sys.stdout.write(
        f"databuffer ready on {listener.url} "
        f"(volume {config.volume_root}, ledger {head.ledger[:8]} at LSN {head.lsn})\n"
    )
    sys.stdout.flush()


async def _take_leave(app: web.Application, seconds: float, hurry: asyncio.Event) -> bool:
    """Serve on for a while, so that nobody's connection is cut in use; say if the ledger failed."""
    app[TRAFFIC].leave()
    with suppress(TimeoutError):
        return await asyncio.wait_for(_first(hurry, app[VOLUME_LEDGER].failed), seconds)
    return False


async def _drain(listener: Listener, app: web.Application, grace: float) -> None:
    """Finish what was begun. The framework's own way to stop drops the rest of a body."""
    listener.close()
    app[VOLUME_LEDGER].release()
    await app[TRAFFIC].stop(grace)


async def _first(stop: asyncio.Event, failed: asyncio.Event) -> bool:
    """Wait for either; say whether it was the failure."""
    waiting = [asyncio.create_task(event.wait()) for event in (stop, failed)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    return failed.is_set()
