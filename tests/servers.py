"""Real servers for the tests: each tier as the process a user would start."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[1]
READY_WITHIN = 60.0  # on a machine that is busy
AT_ONCE = {"DRAIN_SECONDS": "0"}
"""Tests stop servers often; those that look at how one stops say for how long it goes on."""

TIER_SECRET = "the-secret-of-both-tiers-in-tests"  # noqa: S105 - BUFFER_TOKEN of tests alone


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on now.

    It lies below the range the kernel gives to clients, so that a server which is restarted
    finds its port still free, and no client that seeks it meanwhile meets itself. Tests that run
    side by side never share one.
    """
    choose = random.Random()  # noqa: S311 - not a secret
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    while True:
        port = choose.randrange(20_000 + worker, 32_000, 8)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def bearer(secret: str = TIER_SECRET) -> dict[str, str]:
    """Return the header by which a caller shows a secret or a token."""
    return {"Authorization": f"Bearer {secret}"}


def eventually(predicate: Callable[[], object], within: float = 30.0) -> None:
    """Wait until the predicate is true.

    Raises:
        TimeoutError: if it is not within so many seconds.
    """
    deadline = time.monotonic() + within
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.02)


def open_deleted(pid: int, folder: Path) -> list[str]:
    """Return the nameless files under the folder which the process holds open: begun uploads."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = str(path.readlink())
            if target.startswith(str(folder)) and target.endswith("(deleted)"):
                found.append(target)
    return found


@dataclass
class Running:
    """One tier in a process of its own; everything it prints is kept in `log`."""

    name: str
    command: list[str]
    environ: dict[str, str]
    url: str
    log: Path
    process: subprocess.Popen[str] | None = field(default=None)

    def start(self) -> Running:
        """Start it and wait for its ready line.

        Raises:
            RuntimeError: with what it printed, if it ends or stays silent instead.
        """
        self.spawn()
        line = self._first_line()
        if "ready on" not in line:
            self.kill()
            raise RuntimeError(f"{self.name} did not start: {line!r}\n{self.log.read_text()}")
        return self

    def spawn(self) -> None:
        """Start it and do not wait."""
        with self.log.open("a") as stderr:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **AT_ONCE, **self.environ},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
                start_new_session=True,
            )

    def refusal(self, within: float = 60.0) -> tuple[int, list[str]]:
        """Start it where it must refuse to; return its exit status and the lines it printed."""
        ended = subprocess.run(
            self.command,
            env={**os.environ, **self.environ},
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=within,
            check=False,
        )
        return ended.returncode, (ended.stdout + ended.stderr).splitlines()

    def _first_line(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            ready = selector.select(READY_WITHIN)
            return self.process.stdout.readline() if ready else ""

    def kill(self) -> None:
        """Kill it at once, as the kernel would (SIGKILL to the whole process group)."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.ended(30)

    def stop(self, within: float = 30.0) -> int:
        """Ask it to stop (SIGTERM) and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.ended(within)

    def ended(self, within: float) -> int:
        """Wait until it has ended and return its exit status."""
        assert self.process is not None
        status = self.process.wait(within)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status

    def restart(self) -> Running:
        """Start it again where it was; it must not be running."""
        assert self.process is None or self.process.poll() is not None
        return self.start()


@contextlib.contextmanager
def databuffer(folder: Path, **environ: str) -> Iterator[Running]:
    """Run a databuffer whose volume is `folder/volume`."""
    running = databuffer_at(folder, **environ)
    with _ended(running):
        yield running.start()


def databuffer_at(folder: Path, **environ: str) -> Running:
    """Return a databuffer whose volume is `folder/volume`, not yet started.

    With BUFFER_TOKEN=TIER_SECRET it wants to be asked with the header that `bearer` gives.
    """
    port = free_port()
    scheme = "https" if environ.get("TLS_CERT") else "http"
    return Running(
        "databuffer",
        [sys.executable, "-m", "databuffer"],
        {"SERVURL": f"127.0.0.1:{port}", "VOLUME_ROOT": str(folder / "volume"), **environ},
        f"{scheme}://127.0.0.1:{port}",
        folder / "databuffer.log",
    )


@contextlib.contextmanager
def logic(
    buffer_url: str, folder: Path, *, workers: int = 2, name: str = "logic", **environ: str
) -> Iterator[Running]:
    """Run one replica of the logic tier whose view is `folder/<name>.sqlite`."""
    port = free_port()
    scheme = "https" if environ.get("TLS_CERT") else "http"
    running = Running(
        name,
        [
            *(str(BIN / "gunicorn"), "-c", "datastore_logic/gunicorn.conf.py"),
            "datastore_logic.app:create_app()",
        ],
        {
            "DB_BURL": f"{buffer_url}/",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "WEB_CONCURRENCY": str(workers),
            "VIEW_PATH": str(folder / f"{name}.sqlite"),
            **environ,
        },
        f"{scheme}://127.0.0.1:{port}",
        folder / f"{name}.log",
    )
    with _ended(running):
        yield running.start()


@contextlib.contextmanager
def _ended(running: Running) -> Iterator[None]:
    try:
        yield
    finally:
        if running.process is not None and running.process.poll() is None:
            running.kill()
