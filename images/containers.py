"""Images run as a cluster would run them, by crun: read-only, no capabilities, the image's user.

They share the network of the process that runs them, as the containers of one pod do. Needs root.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
USER = 10001
_STORE = ROOT / "var" / "images"
_BUILDAH = (
    *("buildah", "--storage-driver", "vfs", "--root", str(_STORE / "storage")),
    *("--runroot", str(_STORE / "run")),
)
_CRUN = ("crun", "--root", str(_STORE / "crun"), "--cgroup-manager=disabled")
_READY_WITHIN, _ENDED_WITHIN = 60.0, 40.0


@dataclass(frozen=True, slots=True)
class Image:
    """An image in the local storage: its files, its configuration and its size in bytes."""

    name: str
    files: Path
    config: Mapping[str, Any]
    size: int

    @property
    def environ(self) -> dict[str, str]:
        """What it sets."""
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    @property
    def command(self) -> list[str]:
        """What it runs."""
        return [*(self.config.get("Entrypoint") or ()), *(self.config.get("Cmd") or ())]


@contextlib.contextmanager
def mounted(name: str) -> Iterator[Image]:
    """Give the files of an image a place."""
    told = json.loads(_told(*_BUILDAH, "inspect", "--type", "image", name))
    shown = json.loads(_told(*_BUILDAH, "images", "--json", name))
    container = _told(*_BUILDAH, "from", "--pull-never", name)
    try:
        files = Path(_told(*_BUILDAH, "mount", container))
        yield Image(name, files, told["Docker"]["config"], _bytes(shown[0]["size"]))
    finally:
        _told(*_BUILDAH, "rm", container)


def _bytes(size: str) -> int:
    number, unit = size.split()
    return int(float(number) * {"KB": 1e3, "MB": 1e6, "GB": 1e9}[unit])


def _told(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(slots=True)
class Container:
    """One image with its own mounts and variables; `writable` and `readable` map paths to ours."""

    image: Image
    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    writable: Mapping[str, Path] = field(default_factory=dict)
    readable: Mapping[str, Path] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def id(self) -> str:
        """What crun knows it by."""
        return f"{self.folder.name}-{os.getpid()}"

    def output(self) -> list[str]:
        """Return the lines of its standard output so far."""
        return (self.folder / "out").read_text().splitlines()

    def errors(self) -> list[str]:
        """Return the lines of its standard error so far."""
        return (self.folder / "err").read_text().splitlines()

    def run(self, *arguments: str) -> int:
        """Run what the image runs, with these arguments, to its end; return its exit status."""
        self._spawn(list(arguments))
        return self._ended()

    def start(self) -> None:
        """Start what the image runs and wait for its ready line.

        Raises:
            RuntimeError: with what it printed, if it ends or stays silent instead.
        """
        process = self._spawn([])
        deadline = time.monotonic() + _READY_WITHIN
        while not any("ready on" in line for line in self.output()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("\n".join([*self.output(), *self.errors()]))
            time.sleep(0.05)

    def ask(self, *command: str) -> tuple[int, str]:
        """Run something else in the running container; return its exit status and output."""
        done = subprocess.run(
            [*_CRUN, "exec", "--user", f"{USER}:{USER}", self.id, *command],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def stop(self) -> tuple[int, float]:
        """Ask its first process to stop (SIGTERM); return its exit status and the seconds."""
        begin = time.monotonic()
        _told(*_CRUN, "kill", self.id, "TERM")
        return self._ended(), time.monotonic() - begin

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            _told(*_CRUN, "kill", self.id, "KILL")
            self._ended()

    def _ended(self) -> int:
        assert self.process is not None
        return self.process.wait(_ENDED_WITHIN)

    def _spawn(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.json").write_text(json.dumps(self._bundle(arguments)))
        command = [*_CRUN, "run", "--bundle", str(self.folder), self.id]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(command, stdout=out, stderr=err)
        return self.process

    def _bundle(self, arguments: list[str]) -> dict[str, object]:
        user, group = map(int, self.image.config["User"].split(":"))
        environ = {**self.image.environ, **self.environ}
        binds = [
            _bind(inside, outside, option)
            for option, paths in (("rw", self.writable), ("ro", self.readable))
            for inside, outside in paths.items()
        ]
        return {
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": user, "gid": group},
                "args": [*self.image.command, *arguments],
                "env": [f"{name}={value}" for name, value in environ.items()],
                "cwd": self.image.config["WorkingDir"],
                "capabilities": {},
                "noNewPrivileges": True,
            },
            "root": {"path": str(self.image.files), "readonly": True},
            "mounts": [*_SYSTEM, *binds],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
        }


def _bind(inside: str, outside: Path, option: str) -> dict[str, object]:
    options = ["bind", option, "nosuid", "nodev"]
    return {"destination": inside, "type": "bind", "source": str(outside), "options": options}


def _memory(inside: str, *options: str) -> dict[str, object]:
    options = ("nosuid", "size=65536k", *options)
    return {"destination": inside, "type": "tmpfs", "source": "tmpfs", "options": list(options)}


_SYSTEM: tuple[dict[str, object], ...] = (
    {"destination": "/proc", "type": "proc", "source": "proc"},
    _memory("/dev", "mode=755"),
    _memory("/dev/shm", "mode=1777", "nodev", "noexec"),  # noqa: S108 - as every engine has it
)
