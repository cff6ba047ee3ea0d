"""Both tiers as child processes, for one machine: started in order, watched, stopped in order.

The children are started by name, as anybody would by hand; nothing of them is imported. Their lines
are passed on with the tier's name before them, or in them where they are JSON. Logic stops first,
so that nothing is refused for want of a databuffer.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from condstore.errors import TierFailed, UsageError
from condstore.interrupts import terminable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Say = Callable[[str, str], object]  # the tier's name, and one of its lines

_LEEWAY = 10.0  # seconds a tier gets to stop by itself beyond its SHUTDOWN_GRACE
_STILL = 10.0  # seconds between two "still waiting" lines
_NEEDED = ("databuffer", "datastore_logic", "aiofiles", "flask", "gunicorn", "prometheus_client")
_ANY = {"", "0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to


@dataclass(frozen=True, slots=True)
class Address:
    """Where a tier listens, and which variable says so."""

    host: str
    port: int
    variable: str
    scheme: str = "http"

    @property
    def url(self) -> str:
        """The base URL under which this machine reaches it."""
        host = "127.0.0.1" if self.host in _ANY else self.host
        return f"{self.scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def refuse_if_busy(self) -> None:
        """Raise `TierFailed`, naming port and variable, if somebody listens here already."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.host, self.port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise TierFailed(
                        f"{self.variable}: cannot listen on {self.host}:{self.port} "
                        f"({error.strerror or error})"
                    ) from error
                raise TierFailed(
                    f"port {self.port} is busy; stop what listens there or choose another, "
                    f"for example {self.example(self.port + 1)}"
                ) from error

    def example(self, port: int) -> str:
        """Return the variable's assignment for another port."""
        return f"PORT={port}" if self.variable == "PORT" else f"{self.variable}={self.host}:{port}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How one tier is started and stopped: its command, its environment, where it listens.

    `grace` is how many seconds it has to finish what it took before it is killed.
    """

    name: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    address: Address
    grace: float


def named(name: str, line: str, before: str) -> str:
    """Return a tier's line with its name: in a JSON object, which it stays; else with `before` it.

    >>> named("logic", '{"level":"info"}', "logic |"), named("logic", "ready", "logic |")
    ('{"tier": "logic", "level": "info"}', 'logic | ready')
    """
    try:
        told = json.loads(line) if line.startswith("{") else None
    except ValueError:
        told = None
    return f"{before} {line}" if told is None else json.dumps({"tier": name, **told})


def plans(environ: Mapping[str, str]) -> tuple[Plan, Plan]:
    """Return the plans of databuffer and logic tier; raise `UsageError` naming a bad variable.

    DB_BURL follows SERVURL here: the two belong together. With TLS_CERT both speak https.
    """
    scheme = "https" if environ.get("TLS_CERT") else "http"
    buffer = _buffer_address(environ.get("SERVURL") or "127.0.0.1:8080", scheme)
    port = _port(environ.get("PORT") or "5000")
    logic = Address(environ.get("HOST") or "127.0.0.1", port, "PORT", scheme)
    if buffer.port == logic.port:
        raise UsageError(f"SERVURL and PORT both say port {logic.port}; give each its own")
    passed = {**environ, "PYTHONUNBUFFERED": "1", "DRAIN_SECONDS": "0"}  # nobody is routed here
    grace = _seconds(environ.get("SHUTDOWN_GRACE") or "20", "SHUTDOWN_GRACE") + _LEEWAY
    return (
        Plan("databuffer", (sys.executable, "-m", "databuffer"), passed, buffer, grace),
        Plan(
            "logic",
            (
                *(sys.executable, "-m", "gunicorn", "-c", str(_gunicorn_conf())),
                "datastore_logic.app:create_app()",
            ),
            {**passed, "DB_BURL": f"{buffer.url}/"},
            logic,
            grace,
        ),
    )


def _buffer_address(text: str, scheme: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise UsageError(f"SERVURL={text!r} is neither host:port nor :port")
    every = "0.0.0.0"  # noqa: S104 - as SERVURL says
    return Address(host.strip("[]") or every, _port(port, "SERVURL"), "SERVURL", scheme)


def _port(text: str, variable: str = "PORT") -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise UsageError(f"{variable}: {text!r} is not a port from 1 to 65535")
    return int(text)


def _seconds(text: str, variable: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e6:
        raise UsageError(f"{variable}: {text!r} is not a number of seconds")
    return seconds


def _gunicorn_conf() -> Path:
    """Return where the logic tier keeps its gunicorn settings (it is found, not imported).

    The package brings the servers' code along; what they need comes with `condstore[servers]`.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise TierFailed(
            f"the servers are not installed here ({', '.join(missing)} is missing): "
            "pip install 'condstore[servers]'"
        )
    found = importlib.util.find_spec("datastore_logic")
    (folder,) = (found.submodule_search_locations if found else None) or ("",)
    return Path(folder) / "gunicorn.conf.py"


@dataclass(slots=True)
class Tier:
    """One child process and the thread that reads its lines."""

    plan: Plan
    process: subprocess.Popen[str]
    ready: threading.Event = field(default_factory=threading.Event)
    last: str = ""

    def stop(self) -> None:
        """Ask it to stop and wait; a second Ctrl-C, or no end in time, kills it."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(self.plan.grace)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Tiers:
    """The tiers that were started; `say` gets each of their lines."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._tiers: list[Tier] = []
        self._ended: queue.SimpleQueue[Tier] = queue.SimpleQueue()
        self._stopping = False

    def start(self, plan: Plan) -> None:
        """Start a tier and wait until it serves; raise `TierFailed` with its own last words."""
        plan.address.refuse_if_busy()
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            plan.command,
            env=dict(plan.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,  # Ctrl-C is ours to pass on, in order
        )
        tier = Tier(plan, process)
        self._tiers.append(tier)
        threading.Thread(target=self._listen, args=(tier,), daemon=True).start()
        waiting = time.monotonic()
        while not tier.ready.wait(0.1):
            self.refuse_if_dead()
            if time.monotonic() - waiting > _STILL:
                self._say(plan.name, "is still starting (a long ledger takes a while to check)")
                waiting = time.monotonic()

    def refuse_if_dead(self) -> None:
        """Raise `TierFailed` if a tier has ended by itself."""
        with contextlib.suppress(queue.Empty):
            raise _died(self._ended.get_nowait())

    def watch(self) -> None:
        """Wait until a tier ends by itself, and raise `TierFailed`; signals pass through."""
        while True:
            with contextlib.suppress(queue.Empty):
                raise _died(self._ended.get(timeout=1.0))

    def stop(self) -> None:
        """Stop what runs, the last started first."""
        self._stopping = True
        while self._tiers:
            self._tiers.pop().stop()

    def _listen(self, tier: Tier) -> None:
        out = tier.process.stdout
        for line in out or ():
            tier.last = line.rstrip() or tier.last
            if " ready on http" in line:
                tier.ready.set()
            with contextlib.suppress(OSError):  # a closed terminal must not stop the reading
                self._say(tier.plan.name, line.rstrip())
        tier.process.wait()
        if not self._stopping:
            self._ended.put(tier)


def _died(tier: Tier) -> TierFailed:
    status = tier.process.returncode
    how = f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"
    last = f"; its last line: {tier.last}" if tier.last else ""
    return TierFailed(f"{tier.plan.name} ended by itself ({how}){last}")


@contextlib.contextmanager
def running(both: tuple[Plan, Plan], say: Say) -> Iterator[Tiers]:
    """Run the tiers of `both` inside the block; whatever ends it, both are stopped, in order."""
    tiers = Tiers(say)
    with terminable():
        try:
            for plan in both:
                plan.address.refuse_if_busy()
            for plan in both:
                tiers.start(plan)
            yield tiers
        finally:
            tiers.stop()
