"""The twin's DAG, run by `airflow dags test`: both branches, to the trained end."""

import json
import runpy
import threading
from pathlib import Path

import pytest
from airflow.sdk.execution_time.context import OutletEventAccessors
from servers import eventually

from condstore.airflow.connection import Store
from condstore.airflow.operators import FreezeTagOperator
from condstore.airflow.triggers import ONCE
from condstore.airflow.twin import Twin
from condstore.airflow.watches import BufferFilled
from condstore.moments import Moment
from condstore.results import Validity
from condstore.segments import Segment

DAG = Path(__file__).parents[2] / "client" / "dags" / "trainpipe.py"


def segment(number):
    """Return a second of 100 samples, of channel X1:STRAIN."""
    body = {"h": [float(number), 1.0] * 50, "t": [1000 + number, 0.01]}
    return Segment("X1:STRAIN", json.dumps(body).encode(), 100)


def fill(client, numbers):
    """Stream segments, about 600 bytes each."""
    for number in numbers:
        client.stream_segment(segment(number))


def trained(home, connection, *args):
    """Run Trainpipe to its end; return the states of its tasks."""
    done = home.cli("dags", "test", "Trainpipe", *args)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return home.states("Trainpipe")


def test_a_full_buffer_is_frozen_and_preprocessed(home, client, connection, tmp_path):
    """FROZEN: nothing is waited for, and the summary is of the frozen training set."""
    fill(client, range(40))
    client.stream_payload(b"no segment", "Note", Validity(Moment(1000)))
    output = tmp_path / "summary.json"
    states = trained(home, connection, "--conf", json.dumps({"output": str(output)}))
    assert states == {
        **dict.fromkeys(("train", "branch", "frozen", "preprocess"), "success"),
        **dict.fromkeys(("wait_for_data", "train_again"), "skipped"),
    }
    summary = json.loads(output.read_bytes())
    assert summary["reference"] == client.pin("stream")
    assert client.tag("stream").tag.state == "frozen"
    note, found = summary["payload_types"]
    assert (note["payload_type"], note["segments"], note["others"]) == ("Note", 0, 1)
    assert (found["payload_type"], found["segments"], found["samples"]) == ("X1:STRAIN", 40, 4000)
    assert client.buffer().user == "alice"


def test_a_waiting_buffer_is_waited_for_then_frozen(home, client, connection):
    """WAITING: the sensor waits until there is enough, and train is asked again."""
    fill(client, range(3))
    done = threading.Event()

    def produce():
        """Stream on once the sensor waits, as a detector would."""
        eventually(lambda: "wait_for_data" in home.states("Trainpipe"), within=60)
        eventually(lambda: home.states("Trainpipe")["branch"] == "success", within=60)
        fill(client, range(3, 40))
        done.set()

    threading.Thread(target=produce, daemon=True).start()
    states = trained(home, connection)
    assert done.is_set()
    assert set(states.values()) == {"success"}
    assert len(states) == 6
    assert home.xcom("Trainpipe", "train") == {"resp": "WAITING"}
    assert home.xcom("Trainpipe", "train_again")["n_f"] == 40
    assert home.xcom("Trainpipe", "frozen") == client.pin("stream")


@pytest.mark.usefixtures("connection")
def test_a_buffer_cleaned_after_train_takes_nothing_away(client):
    """Frozen by somebody else, flushed before `frozen` ran: that set is published, nothing frozen.

    `train` asked anew is told WAITING, of the new filling.
    """
    trained = runpy.run_path(str(DAG))["trained"]
    fill(client, range(40))
    client.freeze_buffer("bob", "another-long-token")
    reference = client.pin("stream")
    assert trained("stream")["reference"] == reference
    client.flush_buffer()
    fill(client, [99])
    assert trained("stream") == {"resp": "WAITING"}
    frozen = FreezeTagOperator(task_id="frozen", tag=reference)
    assert frozen.execute({"outlet_events": OutletEventAccessors(), "task": frozen}) == reference
    assert client.tag("stream").tag.state == "unlocked"


@pytest.mark.parametrize(
    ("freeze", "stat", "desc"), [("train", "stats", "desc"), ("freezeds", "bufstat", "dsdesc")]
)
def test_the_twins_variables_lead_to_either_service(store, client, freeze, stat, desc):
    """DS_BURL and DS_FREEZE name GlitchflowAPI or the logic tier below it; answers are one."""
    environ = {"DS_BURL": store.logic.url + "/", "DS_FREEZE": freeze, "DS_STAT": stat}
    twin = Twin.from_environ({**environ, "DS_DESC": desc, "MAX_SIZE": "20000"})
    elsewhere = Store(("http://127.0.0.1:9",), user="alice")
    watch = BufferFilled(twin.max_size, twin.url, twin.stat, twin.desc)
    fill(client, [1])
    assert twin.train(elsewhere) == {"resp": "WAITING"}
    assert not watch.look(elsewhere, ONCE).done
    fill(client, range(2, 40))
    assert watch.look(elsewhere, ONCE).done
    size = client.buffer().size
    frozen = {"resp": "FROZEN", "n_f": 39, "bt_wrt": size}
    assert twin.train(elsewhere) == twin.train(elsewhere) == frozen
    assert twin.files(elsewhere) == list(client.buffer_files())
