"""Rendered pods run as processes: what a node would do, with paths and ports of this machine.

The image's variables and command, the manifest's over them; volumes are folders, the Secret's files
are swapped by one link, as the kubelet does it; probes ask what the manifest says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import urllib3
from manifests import ROOT, containers, dockerfile, in_the_image
from servers import BIN, Running, eventually, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from manifests import Object

ADMIN, TIERS = "a" * 40, "b" * 40
_MOUNTED = re.compile(r"^/(volume|view|run|backup|work)(?=/|$)")


@dataclass
class Pod:
    """One container of a rendered pod, as a process."""

    running: Running
    container: Object
    grace: int

    def come_up(self) -> Pod:
        """Start it; wait no longer than the startup probe would, and then until it is ready."""
        self.running.spawn()
        startup = self.container["startupProbe"]
        self._until("startupProbe", startup["periodSeconds"] * startup["failureThreshold"])
        self._until("readinessProbe", 60)
        return self

    def probe(self, kind: str) -> bool:
        """Ask once, as the kubelet would; return whether it succeeded."""
        asked = self.container[kind]
        with urllib3.PoolManager(retries=False) as http:
            url = self.running.url + asked["httpGet"]["path"]
            try:
                return 200 <= http.request("GET", url, timeout=asked["timeoutSeconds"]).status < 400
            except urllib3.exceptions.HTTPError:
                return False

    def end(self) -> None:
        """Ask it to stop; it must have done so, with success, within the time it is given."""
        assert self.running.stop(within=self.grace) == 0

    def _until(self, kind: str, within: float) -> None:
        eventually(lambda: self.probe(kind) or self._ended(), within)
        assert not self._ended(), self.running.log.read_text()

    def _ended(self) -> bool:
        return self.running.process is None or self.running.process.poll() is not None


@dataclass
class Node:
    """Where pods run: a folder for what is mounted, and the ports of the Services."""

    folder: Path
    ports: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("databuff", "dslogic"), 0))
    secrets: dict[str, str] = field(
        default_factory=lambda: {"buffer-token": TIERS, "admin-token": ADMIN}
    )

    def __post_init__(self) -> None:
        """Choose ports, bring the Secret's files."""
        self.ports = {name: port or free_port() for name, port in self.ports.items()}
        self.publish()

    def publish(self, **changed: str) -> None:
        """Bring the Secret's files, as the kubelet does: a folder anew, then one link swapped."""
        self.secrets |= {name.replace("_", "-"): text for name, text in changed.items()}
        mount = self.folder / "run/secrets/condstore"
        version = mount / f"..{time.monotonic_ns()}"
        version.mkdir(parents=True)
        for name, text in self.secrets.items():
            (version / name).write_text(text + "\n")
            if not (mount / name).is_symlink():
                (mount / name).symlink_to(f"..data/{name}")
        (mount / "..new").symlink_to(version.name)
        (mount / "..new").rename(mount / "..data")

    def pod(self, objects: tuple[Object, ...], name: str) -> Pod:
        """Return the pod of a tier, not yet started."""
        spec, container = self._find(objects, name)
        running = Running(
            name,
            _command_of_the_image(container),
            self._environment(objects, container),
            f"http://127.0.0.1:{self.ports[name]}",
            self.folder / f"{name}.log",
        )
        return Pod(running, container, spec["terminationGracePeriodSeconds"])

    def job(self, objects: tuple[Object, ...], name: str) -> str:
        """Run the pod of a Job or CronJob to its end, which must be good; return what it said."""
        _, container = self._find(objects, name)
        program, *words = container["command"]
        command = [str(BIN / program), *(self._here(word) for word in words)]
        done = subprocess.run(
            command,
            env={**os.environ, **self._environment(objects, container)},
            cwd=self.folder / "work",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _find(self, objects: tuple[Object, ...], name: str) -> tuple[Object, Object]:
        found = next(each for each in containers(objects) if each[0] == name)
        for mount in found[2]["volumeMounts"]:
            (self.folder / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        return found[1], found[2]

    def _environment(self, objects: tuple[Object, ...], container: Object) -> dict[str, str]:
        told = in_the_image(objects, container)
        listens = {"SERVURL": ":8080", "PORT": "5000"}
        asks = {"DB_BURL": "http://databuff:8080/", "CONDSTORE_URL": "http://dslogic:5000"}
        for name, text in (listens | asks).items():
            assert told.get(name, text) == text, name
        buffer, logic = self.ports["databuff"], self.ports["dslogic"]
        return {name: self._here(text) for name, text in told.items()} | {
            "SERVURL": f":{buffer}",
            "DB_BURL": f"http://127.0.0.1:{buffer}/",
            "PORT": str(logic),
            "CONDSTORE_URL": f"http://127.0.0.1:{logic}",
            "PATH": f"{BIN}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
        }

    def _here(self, text: str) -> str:
        return _MOUNTED.sub(rf"{self.folder}/\1", text)


def _command_of_the_image(container: Object) -> list[str]:
    assert "command" not in container
    image = container["image"].rpartition(":")[0].rpartition("/")[2]
    found = re.search(r"^CMD (\[.*\])$", dockerfile(image), re.MULTILINE)
    assert found is not None
    words = json.loads(found[1])
    return [sys.executable if words[0] == "python" else str(BIN / words[0]), *words[1:]]
