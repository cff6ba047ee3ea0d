"""The servers under load, each as the process a user would start, and what they cost."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import cpu_seconds, family

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT = Path(__file__).parents[1]
_READY_WITHIN = 30.0


class CannotStart(Exception):
    """A server did not start; says why in one line."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and its port."""

    name: str
    port: int
    pid: int

    def processes(self) -> list[int]:
        """Return its process and that one's descendants."""
        return family(self.pid)

    def cpu(self) -> float:
        """Return the CPU seconds that all its processes have taken so far."""
        return sum(cpu_seconds(pid) for pid in self.processes())

    def memory(self) -> list[tuple[int, int]]:
        """Return resident and highest resident bytes of each of its processes."""
        return [_memory(pid) for pid in self.processes()]


def _memory(pid: int) -> tuple[int, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Vm")}
    return kib["VmRSS"] * 1024, kib["VmHWM"] * 1024


@contextlib.contextmanager
def databuffer(folder: Path) -> Iterator[Server]:
    """Run a databuffer on a new volume, `folder/volume`."""
    port = _free_port()
    with _running(
        "databuffer",
        [sys.executable, "-m", "databuffer"],
        {"SERVURL": f"127.0.0.1:{port}", "VOLUME_ROOT": str(folder / "volume")},
        folder,
        port,
    ) as server:
        yield server


@contextlib.contextmanager
def logic(folder: Path, buffer: Server, workers: int = 2) -> Iterator[Server]:
    """Run a replica of the logic tier on that databuffer, as its image does."""
    port = _free_port()
    with _running(
        "logic",
        [
            *(str(Path(sys.executable).with_name("gunicorn")), "-c"),
            *("datastore_logic/gunicorn.conf.py", "datastore_logic.app:create_app()"),
        ],
        {
            "DB_BURL": f"http://127.0.0.1:{buffer.port}/",
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "WEB_CONCURRENCY": str(workers),
            "VIEW_PATH": str(folder / "view.sqlite"),
        },
        folder,
        port,
    ) as server:
        yield server


_NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
{user}
events {{ worker_connections 512; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Server]:
    """Run an nginx with one worker that serves the files under `root`.

    Raises:
        CannotStart: if there is no nginx and Debian's cannot be had.
    """
    port = _free_port()
    settings = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    settings.write_text(_NGINX.format(folder=folder, root=root, port=port, user=user))
    command = [_nginx_program(folder), "-p", str(folder), "-e", f"{folder}/nginx.log"]
    with _running("nginx", [*command, "-c", str(settings)], {}, folder, port) as server:
        yield server


def _nginx_program(folder: Path) -> str:
    """Return an nginx to run: the installed one, or Debian's package unpacked into `folder`."""
    if installed := shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        return installed
    unpacked = folder / "nginx"
    unpacked.mkdir()
    try:
        if not _downloaded(unpacked):
            _quietly("apt-get", "update", cwd=unpacked)
        for package in _downloaded(unpacked):
            _quietly("dpkg-deb", "-x", package.name, ".", cwd=unpacked)
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(f"no nginx here and Debian's cannot be had ({error})") from error
    program = unpacked / "usr/sbin/nginx"
    if not program.exists():
        raise CannotStart("no nginx here and Debian's cannot be had")
    return str(program)


def _downloaded(into: Path) -> list[Path]:
    _quietly("apt-get", "download", "nginx", cwd=into)
    return list(into.glob("nginx_*.deb"))


def _quietly(*command: str, cwd: Path) -> None:
    subprocess.run(command, cwd=cwd, capture_output=True, check=False, timeout=120)


@contextlib.contextmanager
def _running(
    name: str, command: list[str], environ: Mapping[str, str], folder: Path, port: int
) -> Iterator[Server]:
    log = folder / f"{name}.out"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=_ROOT,
            start_new_session=True,
        )
    try:
        _wait(name, process, port, log)
        yield Server(name, port, process.pid)
    finally:
        _end(process)


def _wait(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until the server listens and, if it is one of ours, says that it is ready."""
    deadline = time.monotonic() + _READY_WITHIN
    while not (_listens(port) if name == "nginx" else _ready(port)):
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise CannotStart(f"{name} did not start: {' '.join(last)}")
        time.sleep(0.02)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
            return True
    except OSError:  # also an answer that it is not ready
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
