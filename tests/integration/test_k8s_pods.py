"""The pods of the manifests run, as processes with exactly what the manifests give them."""

import json
import os

import pytest
import urllib3
from long import at_length
from manifests import rendered
from pods import ADMIN, Node
from servers import bearer, eventually

LATER = "n" * 40


@pytest.fixture(scope="module", params=at_length(["prod"], ["dev", "prod"]))
def objects(request):
    """Return the objects of an overlay that runs both tiers."""
    return rendered(request.param)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Return a node, on which nothing else is set."""
    with pytest.MonkeyPatch.context() as environ:
        for name in set(os.environ) - {"LANG"}:
            if not name.startswith("PYTEST"):
                environ.delenv(name)
        yield Node(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def tiers(node, objects):
    """Run both tiers; at the end they must stop in the time that they are given."""
    buffer, logic = node.pod(objects, "databuff"), node.pod(objects, "dslogic")
    try:
        yield buffer.come_up(), logic.come_up()
        logic.end()
        buffer.end()
    finally:
        for pod in (logic, buffer):
            if pod.running.process is not None and pod.running.process.poll() is None:
                pod.running.kill()


def test_they_come_up_alive_and_write_where_the_volumes_are(node, tiers):
    """Probes succeed; the ledger is on `adml`, blobs on `gwdataln`, the view on scratch space."""
    buffer, logic = tiers
    assert buffer.probe("livenessProbe")
    assert logic.probe("livenessProbe")
    assert ask(logic, "POST", "/api/v1/global-tags", ADMIN, {"name": "first"}) == 201
    assert (node.folder / "volume/adml/ledger/ledger.json").exists()
    assert (node.folder / "volume/gwdataln/blobs").is_dir()
    assert (node.folder / "view/view.sqlite").exists()
    for pod in tiers:
        lines = pod.running.log.read_text().splitlines()
        assert all("message" in json.loads(line) for line in lines)


def test_the_nightly_jobs_do_their_work_and_a_restore_comes_up(node, tiers, tmp_path):
    """A night's work ends well, and a databuffer starts on the volumes that are restored."""
    upkeep = rendered("prod")
    for verb in at_length(["backup"], ["checkpoint", "compact", "backup"]):
        node.job(upkeep, f"condstore-{verb}")
    other = Node(tmp_path)
    (tmp_path / "backup").symlink_to(node.folder / "backup")
    other.job(rendered("restore"), "condstore-restore")
    assert (tmp_path / "volume/gwdataln/blobs").is_dir()
    pod = other.pod(rendered("prod"), "databuff").come_up()
    try:
        assert head(pod)["lsn"] == head(tiers[0])["lsn"]
        assert head(pod)["ledger"] != head(tiers[0])["ledger"]
    finally:
        pod.end()


def test_a_new_secret_is_taken_without_a_restart(node, tiers):
    """The kubelet swaps the files; what was the admin's token before is nothing then."""
    _, logic = tiers
    node.publish(admin_token=LATER)
    eventually(lambda: ask(logic, "GET", "/api/v1/whoami", ADMIN) == 401)
    assert ask(logic, "GET", "/api/v1/whoami", LATER) == 200
    node.publish(admin_token=ADMIN)
    eventually(lambda: ask(logic, "GET", "/api/v1/whoami", ADMIN) == 200)


def test_without_the_databuffer_no_probe_ends_a_replica(tiers):
    """Live and ready it goes on reading, and writes again when the databuffer is there."""
    buffer, logic = tiers
    buffer.running.kill()
    assert logic.probe("livenessProbe")
    assert logic.probe("readinessProbe")
    assert ask(logic, "GET", "/api/v1/global-tags") == 200
    buffer.come_up()
    tag = {"name": "again"}
    eventually(lambda: ask(logic, "POST", "/api/v1/global-tags", ADMIN, tag) == 201)


def ask(pod, method, path, token="", body=None):
    """Ask a pod; return the status."""
    with urllib3.PoolManager(retries=False) as http:
        headers = bearer(token) if token else {}
        return http.request(method, pod.running.url + path, json=body, headers=headers).status


def head(pod):
    """Return where the ledger of a databuffer stands."""
    with urllib3.PoolManager(retries=False) as http:
        return http.request(
            "GET", f"{pod.running.url}/ledger/head", headers=bearer("b" * 40)
        ).json()
