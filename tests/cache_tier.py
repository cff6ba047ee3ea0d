"""The nginx of the manifests: its own configuration, with paths and addresses of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from servers import eventually, free_port
from tools import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = Path(__file__).parents[1] / "k8s/overlays/prod/cache/nginx.conf"


@dataclass
class Cache:
    """A cache tier that runs; `log` has a line a request, `errors` what nginx complains of."""

    url: str
    log: Path
    errors: Path


@contextlib.contextmanager
def cache_tier(folder: Path, upstream: str) -> Iterator[Cache]:
    """Run it before the logic tier at `upstream`, as an unprivileged user would."""
    port, log, errors = free_port(), folder / "cache.log", folder / "cache.errors"
    settings = folder / "nginx.conf"
    settings.write_text(placed(CONFIGURATION.read_text(), folder, port, upstream, log))
    command = [tool("nginx"), "-p", folder, "-e", "stderr", "-c", settings]
    with errors.open("w") as complaints:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints)
    try:
        eventually(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, errors.read_text()
        yield Cache(f"http://127.0.0.1:{port}", log, errors)
    finally:
        process.terminate()
        process.wait(30)


def placed(text: str, folder: Path, port: int, upstream: str, log: Path) -> str:
    """Return the configuration with what a pod has put elsewhere; each must be there."""
    inner = free_port()
    for name in ("tmp", "cache"):
        (folder / name).mkdir()
    user = "user root;\n" if os.geteuid() == 0 else ""
    for here, there in {
        "daemon off;": f"daemon off;\n{user}",
        "worker_processes 2;": "worker_processes 1;",
        "worker_rlimit_nofile 16384;": "",
        " /tmp/": f" {folder}/tmp/",  # noqa: S108 - the pod's own
        " /cache/": f" {folder}/cache/",
        "/dev/stdout": str(log),
        "dslogic:5000": urlsplit(upstream).netloc,
        "listen 8080": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8081": f"127.0.0.1:{inner}",
    }.items():
        assert here in text, here
        text = text.replace(here, there)
    return text


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
