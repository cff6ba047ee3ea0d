"""A store that wants to know who asks, and where a freeze takes two: the connection's password."""

import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.execution_time.context import OutletEventAccessors
from logic_pair import pair

from condstore import Client, NewIOV
from condstore.airflow import operators
from condstore.airflow.hook import CondstoreHook
from condstore.airflow.twin import Twin

ADMIN = "the-admin-of-these-tests-0123456789"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Both tiers; a freeze takes two, a buffer of a few bytes is full."""
    told = {"ADMIN_TOKEN": ADMIN, "FREEZE_APPROVALS": "2", "MAX_SIZE": "10"}
    with pair(tmp_path_factory.mktemp("guarded"), **told) as both:
        yield both


@pytest.fixture(scope="module")
def admin(store):
    """Return a client that shows the admin's token."""
    return Client(store.logic.url, token=ADMIN)


@pytest.fixture(scope="module")
def robot(admin):
    """Return a token that freezes and streams."""
    return admin.make_token("robot", [("admin", ".*")]).token


@pytest.fixture
def connected(store, monkeypatch):
    """Return what sets the connection's password."""
    host = store.logic.url.removeprefix("http://")

    def set_password(token):
        uri = f"condstore://nobody:{token}@{host}"
        monkeypatch.setenv("AIRFLOW_CONN_CONDSTORE_DEFAULT", uri)

    return set_password


def tried(operator, again=0):
    """Execute a task as one of its tries does, all under one key."""
    ti = SimpleNamespace(dag_id="d", run_id="r", task_id=operator.task_id, map_index=-1,
                         max_tries=3 + again)  # fmt: skip
    run = SimpleNamespace(start_date=datetime(2026, 11, 21, tzinfo=UTC))
    events = OutletEventAccessors()
    return operator.execute({"ti": ti, "dag_run": run, "outlet_events": events, "task": operator})


def test_tasks_act_as_whom_the_password_proves(connected, admin, robot):
    """And not as the login says."""
    connected(robot)
    admin.create_tag("acts")
    rows = [{"payload_type": "Beam", "start": 1, "name": "b"}]
    tried(operators.InsertIOVOperator(task_id="insert", tag="acts", iovs=rows))
    assert next(admin.history("acts")).actor == "robot"
    assert CondstoreHook().get_conn().whoami().subject == "robot"


def test_the_producer_shows_the_password_too(connected, admin, robot, tmp_path):
    """Files into a tag."""
    connected(robot)
    admin.create_tag("puts")
    (tmp_path / "f").write_bytes(b"bytes")
    files = [{"file": str(tmp_path / "f"), "payload_type": "Field", "start": 1}]
    put = operators.StreamFilesOperator(task_id="put", tag="puts", files=files)
    assert tried(put)["inserted"] == 1


def test_a_token_that_is_not_taken_fails_the_task_for_good(connected, admin):
    """With what to do about it, and without the token."""
    admin.create_tag("refused")
    connected("cst_0123456789ab_nonsense")
    freeze = operators.FreezeTagOperator(task_id="freeze", tag="refused")
    with pytest.raises(AirflowFailException, match="the connection's password") as failed:
        tried(freeze)
    assert "nonsense" not in str(failed.value)


def test_a_freeze_that_takes_two_is_tried_again_until_it_is_confirmed(connected, admin, robot):
    """Not frozen yet is worth another try, which says who must confirm; confirmed, it succeeds."""
    connected(robot)
    admin.create_tag("two")
    admin.insert_iovs("two", [NewIOV("Beam", 1, name="b")])
    librarian = admin.make_token("librarian", [("admin", "two")]).token
    freeze = operators.FreezeTagOperator(task_id="freeze", tag="two", reason="O4")
    for _ in range(2):
        with pytest.raises(AirflowException, match="another admin confirms it") as waits:
            tried(freeze)
        assert not isinstance(waits.value, AirflowFailException)
        assert "robot proposed it, 1 of 2 want it" in str(waits.value)
    done = Client(admin.url, token=librarian).freeze_tag("two")
    assert tried(freeze) == done.reference
    acts = [act.act for act in admin.history("two")]
    assert (acts.count("tag.frozen"), acts.count("tag.freeze_proposed")) == (1, 1)


def test_content_that_changed_meanwhile_is_proposed_anew(connected, admin, robot):
    """Nothing was frozen, so the next try wants what is there now."""
    connected(robot)
    admin.create_tag("anew")
    freeze = operators.FreezeTagOperator(task_id="anew", tag="anew")
    with pytest.raises(AirflowException, match="not frozen yet"):
        tried(freeze)
    before = admin.tag("anew").freeze
    admin.insert_iovs("anew", [NewIOV("Beam", 1, name="b")])
    assert admin.tag("anew").freeze is None
    for _ in range(2):
        with pytest.raises(AirflowException, match="not frozen yet"):
            tried(freeze)
    assert admin.tag("anew").freeze.proposed_by == "robot"
    assert admin.tag("anew").freeze.fingerprint != before.fingerprint


def test_what_another_has_proposed_since_is_confirmed(connected, admin, robot):
    """Both want the same by then."""
    connected(robot)
    admin.create_tag("both")
    freeze = operators.FreezeTagOperator(task_id="both", tag="both")
    with pytest.raises(AirflowException, match="not frozen yet"):
        tried(freeze)
    admin.insert_iovs("both", [NewIOV("Beam", 1, name="b")])
    other = admin.make_token("other", [("admin", "both")]).token
    Client(admin.url, token=other).freeze_tag("both")
    assert tried(freeze) == admin.pin("both")
    assert "@" in admin.pin("both")
    assert admin.tag("both").tag.state == "frozen"


def test_the_twins_freeze_is_not_given_the_password(connected, store, admin, robot):
    """Its service keeps a hash of that field, or in the original the field itself."""
    connected(robot)
    store.post("/stream?type=A", b'{"h":[1.5],"t":[1,1]}', Authorization=f"Bearer {ADMIN}")
    assert Twin().train(CondstoreHook().store())["resp"] == "FROZEN"
    shown = store.get("/dsdesc")["token"]
    assert shown == f"sha256:{hashlib.sha256(b'airflow').hexdigest()[:12]}"
