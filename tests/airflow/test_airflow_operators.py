"""Each operator, and each again after it succeeded, against real servers."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.execution_time.context import OutletEventAccessors
from logic_pair import pair

from condstore import Client, NewIOV
from condstore.airflow import operators
from condstore.errors import ServerAway

pytestmark = pytest.mark.usefixtures("connection")
IOVS = [
    {"payload_type": "Run", "start": 100, "name": "beam-100"},
    {"payload_type": "Run", "start": "200:7", "end": [300, 0], "name": "beam-200"},
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Both tiers, running, for all tests here."""
    with pair(tmp_path_factory.mktemp("store")) as both:
        yield both


@pytest.fixture
def tag(request, client):
    """A tag of the test's own with two payloads that the store keeps."""
    name = request.node.name.translate(str.maketrans("[]*/{}' ,:", "----------"))[5:60]
    client.create_tag(name)
    digests = [client.put_payload(text).digest for text in (b"one", b"two")]
    rows = [NewIOV("Beam", (at * 10, 0), digest=digest) for at, digest in enumerate(digests)]
    client.insert_iovs(name, rows)
    return name


def done(operator, **context):
    """Execute an operator; return its result and the asset events it recorded."""
    context |= {"outlet_events": OutletEventAccessors(), "task": operator}
    return operator.execute(context), context["outlet_events"]


@pytest.fixture
def tried(tag):
    """Execute a task as one of its tries does; `cleared` counts how often a person cleared it."""

    def once(operator, cleared=0):
        ti = SimpleNamespace(
            dag_id="d", run_id=f"run-{tag}", task_id="t", map_index=-1, max_tries=3 + cleared
        )
        run = SimpleNamespace(start_date=datetime(2026, 11, 21, tzinfo=UTC))
        return done(operator, ti=ti, dag_run=run)

    return once


def twice(kind, **arguments):
    """Execute a task, and execute it again as a retry would; both must return the same."""
    first, _ = done(kind(task_id="task", **arguments))
    again, _ = done(kind(task_id="task", **arguments))
    assert first == again
    return first


def test_frozen_again_is_frozen_with_the_same_fingerprint(tag, client):
    """The result is the reference that answers for ever; the history has one freeze."""
    reference = twice(operators.FreezeTagOperator, tag=tag, strict=True, reason="campaign")
    assert reference == client.pin(tag)
    assert [act.act for act in client.history(tag)].count("tag.frozen") == 1
    assert next(client.history(tag)).actor == "alice"


def test_a_freeze_records_its_reference_for_every_asset_it_has(tag, client, store):
    """The tag's own asset by the alias, a user's asset by itself, each with `TAG@fingerprint`."""
    mine = Asset("training-set")
    freeze = operators.FreezeTagOperator(task_id="freeze", tag=tag, outlets=[mine])
    reference, events = done(freeze)
    assert events[mine].extra["reference"] == reference
    (event,) = events[AssetAlias("condstore-frozen")].asset_alias_events
    host = store.logic.url.removeprefix("http://")
    assert event.dest_asset_key.uri == f"condstore://{host}/{tag}"
    assert event.extra["reference"] == reference
    own = Asset(event.dest_asset_key.uri)
    _, events = done(operators.FreezeTagOperator(task_id="own", tag=tag, outlets=[own]))
    assert events[own].extra["reference"] == reference
    assert not events[AssetAlias("condstore-frozen")].asset_alias_events


def test_a_strict_freeze_of_a_tag_with_a_gap_is_tried_again(tag, client):
    """It is a conflict, which somebody may mend before the next try; nothing is frozen."""
    client.insert_iovs(tag, [NewIOV("Hole", (1, 0), (2, 0), "a"), NewIOV("Hole", (3, 0), name="b")])
    freeze = operators.FreezeTagOperator(task_id="freeze", tag=tag, strict=True)
    with pytest.raises(AirflowException, match="is not frozen: Hole: 1 gap at 2:0"):
        done(freeze)
    assert client.tag(tag).tag.state == "unlocked"


def test_a_freeze_that_is_not_strict_says_what_is_wrong(tag, client, capsys):
    """In the task's log; without the look it says nothing."""
    client.insert_iovs(tag, [NewIOV("Hole", (1, 0), (2, 0), "a"), NewIOV("Hole", (3, 0), name="b")])
    done(operators.FreezeTagOperator(task_id="freeze", tag=tag))
    assert "Hole: 1 gap at 2:0" in capsys.readouterr().out
    done(operators.FreezeTagOperator(task_id="freeze", tag=tag, report=False))
    assert "gaps" not in capsys.readouterr().out


def test_unfrozen_again_is_unlocked(tag, client):
    """An unlocked tag stays so."""
    client.freeze_tag(tag)
    assert twice(operators.UnfreezeTagOperator, tag=tag, reason="a wrong payload") == "unlocked"


def test_a_retry_leaves_what_others_did_since(tag, client, tried):
    """Its act was done: a tag that was frozen again stays frozen, what was deleted stays away."""
    unfreeze = operators.UnfreezeTagOperator(task_id="t", tag=tag, reason="a wrong payload")
    client.freeze_tag(tag)
    assert tried(unfreeze)[0] == "unlocked"
    insert = operators.InsertIOVOperator(task_id="t", tag=tag, iovs=IOVS)
    first, _ = tried(insert)
    client.delete_iov(tag, "Run", 100, "200:7")
    assert tried(insert)[0] == first
    assert [iov.start for iov in client.iovs(tag, "Run")] == [(200, 7)]
    client.freeze_tag(tag)
    assert tried(unfreeze)[0] == "frozen"
    assert client.tag(tag).tag.state == "frozen"
    assert tried(unfreeze, cleared=1)[0] == "unlocked"


def test_a_freeze_retried_after_it_was_opened_publishes_what_it_froze(tag, client, tried):
    """It does not freeze what came in since; another call of the task would."""
    freeze = operators.FreezeTagOperator(task_id="t", tag=tag)
    reference, _ = tried(freeze)
    client.unfreeze_tag(tag, reason="a late payload")
    client.insert_iovs(tag, [NewIOV("Beam", (50, 0), name="late")])
    again, events = tried(freeze)
    (event,) = events[AssetAlias("condstore-frozen")].asset_alias_events
    assert again == event.extra["reference"] == reference
    assert client.tag(tag).tag.state == "unlocked"
    other = operators.FreezeTagOperator(task_id="t", tag=tag, reason="now with the late one")
    assert tried(other)[0] == client.pin(tag) != reference


def test_what_is_frozen_already_is_published(tag, client):
    """By its fingerprint, also when the tag went on; a state that is not frozen is refused."""
    reference = client.freeze_tag(tag).reference
    client.unfreeze_tag(tag, reason="goes on")
    name, events = done(operators.FreezeTagOperator(task_id="known", tag=reference))
    (event,) = events[AssetAlias("condstore-frozen")].asset_alias_events
    assert name == event.extra["reference"] == reference
    assert client.tag(tag).tag.state == "unlocked"
    with pytest.raises(AirflowFailException, match="is no frozen state"):
        done(operators.FreezeTagOperator(task_id="known", tag=client.pin(tag)))


def test_a_clone_is_this_tasks_whatever_became_of_its_source(tag, client, tried):
    """The source changed between two tries."""
    clone = operators.CloneTagOperator(task_id="t", source=tag, name=f"{tag}-2")
    assert tried(clone)[0] == f"{tag}-2"
    client.insert_iovs(tag, [NewIOV("Beam", (50, 0), name="new")])
    assert tried(clone)[0] == f"{tag}-2"


def test_cloned_again_is_the_clone_that_is_there(tag, client):
    """As long as it has the same content."""
    assert twice(operators.CloneTagOperator, source=tag, name=f"{tag}-2") == f"{tag}-2"
    client.insert_iovs(f"{tag}-2", [NewIOV("Beam", (50, 0), name="new")])
    with pytest.raises(AirflowFailException, match="exists and has not the content of"):
        done(operators.CloneTagOperator(task_id="clone", source=tag, name=f"{tag}-2"))


def test_a_tag_is_no_clone_of_itself(tag, client):
    """Its content is the same, yet nothing was cloned."""
    with pytest.raises(AirflowFailException, match="choose another name"):
        done(operators.CloneTagOperator(task_id="clone", source=tag, name=tag))


def test_inserted_again_nothing_is_inserted(tag, client):
    """What stands there stands there; the result says so the second time."""
    insert = operators.InsertIOVOperator(task_id="insert", tag=tag, iovs=IOVS)
    assert done(insert)[0]["inserted"] == 2
    assert done(insert)[0]["inserted"] == 0
    assert [iov.start for iov in client.iovs(tag, "Run")] == [(100, 0), (200, 7)]


@pytest.mark.parametrize(
    ("iov", "words"),
    [
        ({"payload_type": "Beam", "name": "x"}, "start"),
        ({"payload_type": "Beam", "start": 1, "nmae": "x"}, "nmae"),
        ({"payload_type": "Beam", "start": "soon", "name": "x"}, "soon"),
    ],
)
def test_what_is_no_payload_iov_fails_for_good(tag, client, iov, words):
    """No retry makes it one."""
    with pytest.raises(AirflowFailException, match=words):
        done(operators.InsertIOVOperator(task_id="insert", tag=tag, iovs=[iov]))


def test_a_template_gives_payload_iovs_as_json(tag, client):
    """Any other text fails for good, and says what to write."""
    insert = operators.InsertIOVOperator(task_id="insert", tag=tag, iovs=json.dumps(IOVS))
    assert done(insert)[0]["inserted"] == 2
    with pytest.raises(AirflowFailException, match="is no JSON list"):
        done(operators.InsertIOVOperator(task_id="insert", tag=tag, iovs=str(IOVS)))


def test_a_template_gives_payload_types_with_commas(tag, client, tmp_path):
    """`"Beam"` is a payload type, and not four."""
    reference = client.freeze_tag(tag).reference
    pull = {"task_id": "pull", "ref": reference, "path": tmp_path / "b.cdb"}
    done(operators.PullBundleOperator(**pull, payload_types="Beam"))
    with Client.offline(tmp_path / "b.cdb") as offline:
        assert [one.payload_type for one in offline.tag(reference).payload_lists] == ["Beam"]


def test_files_streamed_again_are_stored_once(tag, client, tmp_path):
    """Also when the buffer was frozen in between."""
    for number in range(3):
        body = {"h": [float(number), 2.0], "t": [100 + number, 0.5]}
        (tmp_path / f"{number}.json").write_text(json.dumps(body))
    files = [str(tmp_path / "*.json")]
    found = twice(operators.StreamFilesOperator, files=files, payload_type="X1:STRAIN")
    assert (found["files"], found["segments"], client.buffer().files) == (3, 3, 3)
    client.freeze_tag("stream")
    assert twice(operators.StreamFilesOperator, files=files, payload_type="X1:STRAIN") == found
    assert client.buffer().files == 3


def test_files_put_again_have_one_iov_each(tag, client, tmp_path):
    """Into a tag, with only the bytes that the store lacks."""
    (tmp_path / "beam.json").write_bytes(b'{"x":1}')
    files = [{"file": str(tmp_path / "beam.json"), "payload_type": "Map", "start": 1200}]
    put = operators.StreamFilesOperator(task_id="put", tag=tag, files=files)
    assert done(put)[0]["inserted"] == 1
    assert done(put)[0]["inserted"] == 0
    assert client.payload(client.resolve(tag, 1300).payload("Map")) == b'{"x":1}'
    assert len(list(client.iovs(tag, "Map"))) == 1


@pytest.mark.parametrize("files", ["nothing/*.json", [{"file": "x"}]])
def test_files_that_are_not_there_fail_for_good(files):
    """A pattern without files is a mistake, not an empty success."""
    with pytest.raises(AirflowFailException):
        done(operators.StreamFilesOperator(task_id="stream", files=files))


def test_pulled_again_is_the_same_bundle(tag, client, tmp_path):
    """Left as it is; another one is not overwritten unless that was asked for."""
    reference = client.freeze_tag(tag).reference
    path = tmp_path / "O4.cdb"
    assert twice(operators.PullBundleOperator, ref=reference, path=str(path)) == str(path)
    content = path.read_bytes()
    other = {"task_id": "pull", "ref": reference, "path": path, "begin": 1, "end": 5}
    with pytest.raises(AirflowFailException, match="another bundle"):
        done(operators.PullBundleOperator(**other))
    assert path.read_bytes() == content
    done(operators.PullBundleOperator(**other, force=True))
    assert path.read_bytes() != content


def test_no_such_tag_fails_for_good():
    """Whatever retries the task has."""
    with pytest.raises(AirflowFailException, match="O9"):
        done(operators.FreezeTagOperator(task_id="freeze", tag="O9"))


def test_a_server_that_is_away_is_worth_another_try(monkeypatch):
    """So the task's retries are used."""
    monkeypatch.setenv("AIRFLOW_CONN_CONDSTORE_DEFAULT", "condstore://127.0.0.1:9")
    with pytest.raises(ServerAway):
        done(operators.UnfreezeTagOperator(task_id="unfreeze", tag="O4", reason="why"))
