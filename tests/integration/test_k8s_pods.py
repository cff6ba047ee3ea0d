"""The pods of the manifests as processes: their commands, environments, probes and ends.

What a node would do is done here: the image's variables and command, the manifest's over them,
paths and ports of this machine for the pod's own, probes as long as they say, files of the Secret
swapped by one link as the kubelet does it, SIGTERM at the end.
"""

import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from long import at_length
from manifests import containers, dockerfile, in_the_image, rendered
from servers import BIN, ROOT, Running, bearer, eventually, free_port

OVERLAYS = at_length(("prod",), ("dev", "prod"))
ADMIN, LATER = "a" * 40, "n" * 40


@dataclass
class Pod:
    """One container of a rendered pod, run as a process."""

    running: Running
    spec: dict
    container: dict
    grace: int

    def probe(self, kind):
        """Ask once, as the kubelet would; return whether it succeeded."""
        asked = self.container[kind]
        with urllib3.PoolManager(retries=False) as http:
            try:
                url = self.running.url + asked["httpGet"]["path"]
                return 200 <= http.request("GET", url, timeout=asked["timeoutSeconds"]).status < 400
            except urllib3.exceptions.HTTPError:
                return False

    def come_up(self):
        """Start it; wait no longer than the startup probe would, and then until it is ready."""
        self.running.spawn()
        startup = self.container["startupProbe"]
        self._until("startupProbe", startup["periodSeconds"] * startup["failureThreshold"])
        self._until("readinessProbe", 60)

    def _until(self, kind, within):
        eventually(lambda: self.probe(kind) or self.running.process.poll() is not None, within)
        assert self.running.process.poll() is None, self.running.log.read_text()


@dataclass
class Node:
    """Where the pods run: a folder for their volumes and the files of the Secret."""

    folder: Path
    objects: tuple

    def __post_init__(self):
        self.ports = {"databuff": free_port(), "dslogic": free_port()}
        self.secrets = {"buffer-token": "b" * 40, "admin-token": ADMIN}
        self.publish()

    def publish(self, **changed):
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

    def pod(self, name):
        """Return the pod of a tier, not yet started."""
        _, spec, container = next(each for each in containers(self.objects) if each[0] == name)
        for mount in container["volumeMounts"]:
            (self.folder / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        running = Running(
            name,
            command(container),
            self.environment(name, spec, container),
            f"http://127.0.0.1:{self.ports[name]}",
            self.folder / f"{name}.log",
        )
        return Pod(running, spec, container, spec["terminationGracePeriodSeconds"])

    def environment(self, name, spec, container):
        """Return the variables of image and manifest, with paths and ports of this machine."""
        told = in_the_image(self.objects, spec, container)
        here = {
            variable: re.sub(r"^/(volume|view|run)(?=/|$)", rf"{self.folder}/\1", text)
            for variable, text in told.items()
        }
        assert told["SERVURL"] == ":8080"
        assert told["DB_BURL"] == "http://databuff:8080/"
        here |= {
            "SERVURL": f":{self.ports['databuff']}",
            "DB_BURL": f"http://127.0.0.1:{self.ports['databuff']}/",
            "PATH": f"{BIN}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
        }
        return here | ({"PORT": str(self.ports["dslogic"])} if name == "dslogic" else {})


def command(container):
    """Return the command of the container, or else of its image."""
    image = container["image"].rpartition(":")[0].rpartition("/")[2]
    assert "command" not in container
    words = json.loads(re.search(r"^CMD (\[.*\])$", dockerfile(image), re.MULTILINE)[1])
    return [sys.executable if words[0] == "python" else str(BIN / words[0]), *words[1:]]


@pytest.fixture
def node(request, tmp_path, monkeypatch):
    """Return a node for the objects of an overlay, on which nothing else is set."""
    for name in set(os.environ) - {"LANG", "TMPDIR", "HOME"}:
        if not name.startswith("PYTEST"):
            monkeypatch.delenv(name)
    return Node(tmp_path, rendered(request.param))


@pytest.mark.parametrize("node", OVERLAYS, indirect=True)
def test_both_tiers_run_as_the_manifests_say(node):
    """They come up by their probes, heed a new Secret, stay up without each other, end in time."""
    buffer, logic = node.pod("databuff"), node.pod("dslogic")
    try:
        buffer.come_up()
        logic.come_up()
        assert buffer.probe("livenessProbe")
        assert logic.probe("livenessProbe")
        assert ask(logic, "POST", "/api/v1/global-tags", ADMIN, '{"name":"first"}') == 201
        assert (node.folder / "volume/adml/ledger/ledger.json").exists()
        assert (node.folder / "volume/gwdataln/blobs").is_dir()
        assert all(map(is_json, buffer.running.log.read_text().splitlines()))
        node.publish(admin_token=LATER)
        eventually(lambda: ask(logic, "GET", "/api/v1/whoami", ADMIN) == 401)
        buffer.running.kill()
        assert logic.probe("livenessProbe")
        assert logic.probe("readinessProbe")
        assert ask(logic, "GET", "/api/v1/global-tags/first") == 200
        buffer.come_up()
        second = '{"name":"second"}'
        eventually(lambda: ask(logic, "POST", "/api/v1/global-tags", LATER, second) == 201)
        for pod in (logic, buffer):
            assert pod.running.stop(within=pod.grace) == 0
    finally:
        for pod in (logic, buffer):
            if pod.running.process is not None and pod.running.process.poll() is None:
                pod.running.kill()


def ask(logic, method, path, token="", body=None):
    """Ask the logic tier; return the status."""
    with urllib3.PoolManager(retries=False) as http:
        headers = bearer(token) if token else {}
        return http.request(method, logic.running.url + path, body=body, headers=headers).status


def is_json(line):
    """Whether a line of a log is an object."""
    try:
        return json.loads(line)["message"]
    except (ValueError, TypeError):
        return False
