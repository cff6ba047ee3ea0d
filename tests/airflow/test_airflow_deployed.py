"""Scheduler, triggerer, DAG processor and API server running: kills, retries, waits, lineage."""

import json
import os
import shutil
import signal
from pathlib import Path

import airflow_home
import pytest
from logic_pair import pair
from servers import eventually

from condstore import Client, NewIOV
from condstore.segments import Segment

DAGS = Path(__file__).parent / "dags"
SEGMENTS = 1500


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Both tiers, running, for all DAGs here."""
    with pair(tmp_path_factory.mktemp("store")) as both:
        yield both


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the DAGs' tasks read and write."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "field.bin").write_bytes(b"field")
    for name, count, first in (("acts", 3, 0), ("long", SEGMENTS, 1000)):
        (folder / name).mkdir()
        for number in range(count):
            body = {"h": [float(number), 2.0], "t": [first + number, 0.5]}
            (folder / name / f"{number:04}.json").write_text(json.dumps(body))
    return folder


@pytest.fixture(scope="module")
def deployed(made, store, folder, tmp_path_factory):
    """A whole Airflow, the connection told by a JSON environment variable."""
    home = made.copied(tmp_path_factory.mktemp("deployed") / "airflow")
    host, _, port = store.logic.url.removeprefix("http://").partition(":")
    connection = {"conn_type": "condstore", "host": host, "port": int(port), "login": "alice"}
    home.environ |= {
        "AIRFLOW_CONN_CONDSTORE_DEFAULT": json.dumps(connection),
        "ACTS_FOLDER": str(folder),
    }
    with airflow_home.running(home):
        yield home


def deploy(home, name):
    """Give Airflow a DAG, which runs once, at once."""
    shutil.copy(DAGS / f"{name}.py", home.dags)


def finished(home, name, within=200):
    """Wait until the DAG's run has ended; return the states of its tasks."""
    eventually(
        lambda: home.rows(
            "SELECT 1 FROM dag_run WHERE dag_id = ? AND state IN ('success', 'failed')", name
        ),
        within,
    )
    return home.states(name)


def test_every_operator_killed_after_its_work_succeeds_when_tried_again(deployed, store, folder):
    """Two tries each; tags, bundle and buffer are as after one; each freeze is one asset event.

    A DAG that is scheduled on freezes runs, and is told which content was frozen.
    """
    client = Client(store.logic.url)
    client.create_tag("acts")
    deploy(deployed, "after")
    eventually(lambda: deployed.rows("SELECT 1 FROM dag WHERE dag_id = 'after'"), within=120)
    deploy(deployed, "acts")
    states = finished(deployed, "acts")
    assert set(states.values()) == {"success"}, deployed.logs("acts", "*")[-4000:]
    tries = deployed.rows("SELECT try_number FROM task_instance WHERE dag_id = 'acts'")
    assert tries == [(2,)] * len(states)
    reference = deployed.xcom("acts", "freeze")
    assert deployed.xcom("acts", "insert")["inserted"] == 2  # answered as the first try was
    assert client.tag("acts").tag.state == "unlocked"
    assert [act.act for act in client.history("acts")].count("tag.frozen") == 1
    assert not client.diff(reference, "acts-2").changes
    assert len(list(client.iovs("acts", "Beam"))) == 2
    assert len(list(client.iovs("acts", "Field"))) == 1
    assert Client.offline(folder / "acts.cdb").pin("acts") == reference
    assert client.buffer().files == 3
    host = store.logic.url.removeprefix("http://")
    events = deployed.rows(
        "SELECT a.uri, e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id"
        " WHERE e.source_dag_id = 'acts'"
    )
    references = {reference, client.pin("acts-2")}
    assert {json.loads(extra)["reference"] for _, extra in events} == references
    assert sorted(uri for uri, _ in events) == [
        *(f"condstore://{host}/acts", f"condstore://{host}/acts-2")
    ]
    eventually(lambda: told(deployed) == references, within=120)


def told(home):
    """Return the references that the DAG which follows freezes was told."""
    values = home.rows("SELECT value FROM xcom WHERE dag_id = 'after'")
    return {reference for (value,) in values for reference in airflow_home.unwrapped(value)}


def test_a_task_killed_while_it_streams_streams_each_segment_once(deployed, store):
    """SIGKILL in the middle; the retry sends what is missing, nothing twice."""
    client = Client(store.logic.url)
    before = client.buffer().files
    deploy(deployed, "long")
    eventually(lambda: client.buffer().files > before + 50, within=120)
    ((pid,),) = deployed.rows("SELECT pid FROM task_instance WHERE dag_id = 'long'")
    os.kill(pid, signal.SIGKILL)
    assert client.buffer().files < before + SEGMENTS
    assert finished(deployed, "long") == {"stream": "success"}
    ((tries,),) = deployed.rows("SELECT try_number FROM task_instance WHERE dag_id = 'long'")
    assert tries == 2
    assert client.buffer().files == before + SEGMENTS


def test_sensors_wait_in_the_triggerer_while_the_store_is_away(deployed, store):
    """Deferred, they hold no worker; what they wait for they see once the store is back."""
    client = Client(store.logic.url)
    client.flush_buffer()
    client.create_tag("waits")
    client.insert_iovs("waits", [NewIOV("Beam", (100, 0), (150, 0), name="a")])
    deploy(deployed, "waits")
    tasks = ("buffer", "covers", "frozen")
    eventually(lambda: deployed.states("waits") == dict.fromkeys(tasks, "deferred"), within=120)
    store.logic.stop()
    eventually(
        lambda: all("not seen" in deployed.logs("waits", task) for task in tasks), within=120
    )
    assert deployed.states("waits") == dict.fromkeys(tasks, "deferred")
    store.logic.restart()
    store.settle()
    client.insert_iovs("waits", [NewIOV("Beam", (160, 0), name="c")])
    eventually(
        lambda: "Beam has a gap from 150:0 to 160:0" in deployed.logs("waits", "covers"), within=120
    )
    client.insert_iovs("waits", [NewIOV("Beam", (150, 0), name="b")])
    eventually(lambda: deployed.states("waits")["covers"] == "success", within=120)
    covered = deployed.xcom("waits", "covers")
    assert [iov.name for iov in client.iovs(covered, "Beam")] == ["a", "b", "c"]
    reference = client.freeze_tag("waits").reference
    for number in range(10):
        body = {"h": [0.125] * 100, "t": [number, 0.01]}
        client.stream_segment(Segment("X1:STRAIN", json.dumps(body).encode(), 100))
    assert set(finished(deployed, "waits").values()) == {"success"}
    assert deployed.xcom("waits", "frozen") == reference
    assert deployed.xcom("waits", "buffer") >= 5000
