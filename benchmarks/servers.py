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
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks.machine import cpu_seconds, family

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOT = Path(__file__).parents[1]
_READY_WITHIN = 30.0


class CannotStart(Exception):
    """A server did not start; says why in one line."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What of one process is in memory, in bytes: now, at most, and now's two parts."""

    resident: int
    highest: int
    anonymous: int
    mapped: int

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Return that of a process; what it maps from files others may share."""
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        told = {line.split(":")[0]: line.split()[1] for line in lines if line.endswith(" kB")}
        names = ("VmRSS", "VmHWM", "RssAnon", "RssFile", "RssShmem")
        resident, highest, anonymous, files, shared = (1024 * int(told[name]) for name in names)
        return cls(resident, highest, anonymous, files + shared)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, its port, and how many seconds it took until it was ready."""

    name: str
    port: int
    pid: int
    took: float = 0.0

    def processes(self) -> list[int]:
        """Return its process and that one's descendants."""
        return family(self.pid)

    def cpu(self) -> float:
        """Return the CPU seconds that all its processes have taken so far."""
        return sum(cpu_seconds(pid) for pid in self.processes())

    def memory(self) -> list[Memory]:
        """Return what each of its processes has in memory."""
        return [Memory.of(pid) for pid in self.processes()]


@contextlib.contextmanager
def databuffer(folder: Path) -> Iterator[Server]:
    """Run a databuffer on the volume `folder/volume`, a new one unless it is there."""
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
def logic(
    folder: Path,
    buffer: Server,
    workers: int = 2,
    within: float = _READY_WITHIN,
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Server]:
    """Run a replica of the logic tier on that databuffer, as its image does; its view: `folder`.

    `environ` are further settings.

    Raises:
        CannotStart: if it is not ready `within` seconds.
    """
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
            **environ,
        },
        folder,
        port,
        within,
    ) as server:
        yield server


_NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
{http}
}}
"""
_FILES = "  server {{ listen 127.0.0.1:{port}; root {root}; }}"
_CACHE = """  proxy_cache_path {folder}/cache keys_zone=answers:16m max_size=4g inactive=1d
    use_temp_path=off;
  upstream logic {{ server 127.0.0.1:{upstream}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://logic;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache answers;
      proxy_cache_lock on;
      proxy_cache_use_stale error timeout updating http_500 http_502 http_503 http_504;
      proxy_cache_background_update on;
      proxy_cache_revalidate on;
      add_header X-Cache $upstream_cache_status;
    }}
  }}"""


@contextlib.contextmanager
def nginx(folder: Path, root: Path) -> Iterator[Server]:
    """Run an nginx with one worker that serves the files under `root`.

    Raises:
        CannotStart: if there is no nginx and Debian's cannot be had.
    """
    port = _free_port()
    with _nginx(folder, port, _FILES.format(port=port, root=root)) as server:
        yield server


@contextlib.contextmanager
def cache(folder: Path, before: Server) -> Iterator[Server]:
    """Run an nginx with one worker that keeps what the server `before` lets be kept.

    Of clients that ask for the same at the same time one is let through; what is kept is given
    out also when the server is away.

    Raises:
        CannotStart: if there is no nginx and Debian's cannot be had.
    """
    port = _free_port()
    http = _CACHE.format(folder=folder, port=port, upstream=before.port)
    with _nginx(folder, port, http) as server:
        yield server


@contextlib.contextmanager
def _nginx(folder: Path, port: int, http: str) -> Iterator[Server]:
    settings = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    settings.write_text(_NGINX.format(folder=folder, user=user, http=http))
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
    name: str,
    command: list[str],
    environ: Mapping[str, str],
    folder: Path,
    port: int,
    within: float = _READY_WITHIN,
) -> Iterator[Server]:
    log = folder / f"{name}.out"
    begin = time.monotonic()
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
        _wait(name, process, port, log, within)
        yield Server(name, port, process.pid, time.monotonic() - begin)
    finally:
        _end(process)


def _wait(name: str, process: subprocess.Popen[bytes], port: int, log: Path, within: float) -> None:
    """Wait until the server listens and, if it is one of ours, says that it is ready."""
    deadline = time.monotonic() + within
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
