"""Checkpoints between real servers: who may make one, what begins with it, what a kill leaves."""

import json
import secrets
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import urllib3
from load import seeded
from logic_pair import Pair, pair
from long import at_length
from servers import TIER_SECRET, bearer, databuffer, eventually, logic

PATH = "/api/v1/checkpoint"
ROOT = "r" * 32
ROUNDS = at_length(1, 40)
KEYED = {"ADMIN_TOKEN": ROOT, "BUFFER_TOKEN": TIER_SECRET}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers, with something of everything in the ledger."""
    folder = tmp_path_factory.mktemp("checkpoints")
    with (
        databuffer(folder, BUFFER_TOKEN=TIER_SECRET) as buffer,
        logic(buffer.url, folder, **KEYED) as tier,
    ):
        running = Pair(buffer, tier, token=ROOT)
        running.settle()
        fill(running)
        yield running
        running.http.clear()


def fill(both):
    """Write tags, IOVs, a freeze, a clone, tokens and segments."""
    tags = "/api/v1/global-tags"
    for name in ("open", "held"):
        assert both.post(tags, json.dumps({"name": name})).status == 201
        iovs = [
            {"payload_type": kind, "start": [n, 0], "name": f"{kind}{n}"}
            for n in range(50)
            for kind in ("Beam", "Field")
        ]
        assert both.post(f"{tags}/{name}/iovs", json.dumps({"iovs": iovs})).status == 201
    assert both.post(f"{tags}/held/freeze").status == 200
    assert both.post(f"{tags}/held/clone", json.dumps({"name": "copy"})).status == 201
    segment = json.dumps({"h": [0.5] * 100, "t": [10, 0.01]})
    assert both.post("/stream", segment).status == 201


def token(both, name, role, tags):
    """Return the secret of a new API token."""
    asked = {"name": name, "grants": [{"role": role, "tags": tags}]}
    return both.post("/api/v1/tokens", json.dumps(asked)).json()["token"]


def write(both, name):
    """Make a tag."""
    assert both.post("/api/v1/global-tags", json.dumps({"name": name})).status == 201


def document(both):
    """Return what the databuffer says of the checkpoint, None for nothing."""
    url = f"{both.buffer.url}/state/checkpoint"
    found = both.http.request("GET", url, headers=bearer())
    return found.json() if found.status == 200 else None


def blob(both, digest):
    """Return the bytes of a blob, None if there is none."""
    url = f"{both.buffer.url}/blobs/{digest.replace(':', '/')}"
    found = both.http.request("GET", url, headers=bearer())
    return found.data if found.status == 200 else None


def replica(both, folder, name, **environ):
    """Run another replica; `environ` may say that it looks for no checkpoint."""
    return logic(both.buffer.url, folder, name=name, workers=1, **KEYED, **environ)


def settled(both, tier):
    """Return another replica and the same databuffer, once it follows."""
    other = Pair(both.buffer, tier, token=ROOT)
    other.settle()
    return other


def rows(path):
    """Return all that a view holds, but for what is of its pod alone."""
    with closing(sqlite3.connect(path)) as view:
        names = view.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        assert len(names) > 20
        return {
            name: sorted(map(repr, view.execute(f"SELECT * FROM {name}")))  # noqa: S608 - its own
            for (name,) in names
            if name != "link"
        }


def left(folder, name):
    """Return the views that are beside a replica's own."""
    return [each.name for each in folder.glob(f"{name}.sqlite.*") if ".new" in each.name
            or each.name.endswith((".copy", ".taken")) or "-journal" in each.name]  # fmt: skip


def answers(both):
    """Return what a replica says of everything there is."""
    tags = "/api/v1/global-tags"
    names = [tag["name"] for tag in both.get(tags)["global_tags"]]
    return [both.get(tags), both.get("/api/v1/payload-types")] + [
        both.get(f"{tags}/{name}{rest}")
        for name in names
        for rest in ("", "/payloads?major=7", "/history")
    ]


def test_only_an_admin_of_all_tags_makes_one(both):
    """It holds everything: neither an admin of some tags nor any other role on all of them."""
    for name, role, tags in (
        ("some", "admin", "open"), ("many", "admin", "[a-z].*"), ("editor", "editor", ".*"),
    ):  # fmt: skip
        secret = token(both, name, role, tags)
        refused = both.post(PATH, Authorization=f"Bearer {secret}")
        assert (refused.status, refused.json()["code"]) == (403, "permission_denied"), name
    assert both.http.request("POST", both.logic.url + PATH).status == 401
    assert document(both) is None
    secret = token(both, "all", "admin", ".*")
    assert both.post(PATH, Authorization=f"Bearer {secret}").status == 201


def test_who_may_read_is_not_told_where_it_is(both):
    """Neither the answer nor the log names the digest, by which any reader could fetch it."""
    write(both, "more")
    told = both.post(PATH)
    digest = document(both)["digest"]
    assert blob(both, digest)
    assert digest[-64:] not in told.data.decode()
    assert digest[-64:] not in both.logic.log.read_text()


def test_the_copy_counts_as_named(both):
    """Compaction leaves the newest checkpoint, and takes those before it."""
    both.post(PATH)
    old = document(both)["digest"]
    write(both, "newer-still")
    both.post(PATH)
    url = f"{both.buffer.url}/blobs/unreferenced"
    found = both.http.request("POST", url, body=b'{"older_than": 0}', headers=bearer())
    assert found.status == 200, found.data
    assert old in found.json()["sample"]
    assert document(both)["digest"] not in found.json()["sample"]


def test_a_replica_from_a_checkpoint_is_one_from_the_ledger(both, tmp_path):
    """Every row and every answer; and it says what it began with."""
    both.post(PATH)
    write(both, "later")
    with (
        replica(both, tmp_path, "old", CHECKPOINTS="off") as old,
        replica(both, tmp_path, "new") as new,
    ):
        one, other = settled(both, old), settled(both, new)
        assert one.get("/readyz")["started_from"] == "ledger"
        told = other.get("/readyz")
        assert told["started_from"] == "checkpoint"
        assert told["checkpoint_lsn"] == document(both)["lsn"] == told["applied_lsn"] - 1
        assert answers(one) == answers(other) == answers(both)
        assert rows(tmp_path / "old.sqlite") == rows(tmp_path / "new.sqlite")
        assert "begins with the checkpoint at LSN" in new.log.read_text()
        write(other, "written-there")
        assert both.get("/api/v1/global-tags/written-there", X_Min_LSN="1")
    assert left(tmp_path, "new") == []


def test_two_replicas_make_one_at_once(both, tmp_path):
    """Whichever is faster, the document ends at the newest, and its blob is there."""
    with replica(both, tmp_path, "second") as tier, ThreadPoolExecutor(2) as pool:
        other = settled(both, tier)
        for number in range(3):
            write(both, f"race-{number}")
            lsn = both.get("/readyz")["applied_lsn"]
            asked = [pool.submit(each.post, PATH, X_Min_LSN=str(lsn)) for each in (both, other)]
            made = [each.result() for each in asked]
            assert all(one.status in {200, 201} for one in made), [one.data for one in made]
            assert document(both)["lsn"] == lsn
            assert len(blob(both, document(both)["digest"])) == document(both)["size"]


def test_a_ledger_with_another_id_is_read_itself(tmp_path):
    """A volume that another ledger was put on: its state still names the checkpoint of the old."""
    with pair(tmp_path, WEB_CONCURRENCY="1") as both:
        write(both, "before")
        assert both.post(PATH).status == 201
        both.buffer.stop()
        ledger = tmp_path / "volume" / "ledger"
        for path in ledger.iterdir():
            path.unlink()
        manifest = {"format": 1, "ledger": secrets.token_hex(16), "segments": []}
        (ledger / "ledger.json").write_text(json.dumps(manifest))
        both.buffer.restart()
        both.settle()
        write(both, "after")
        with logic(both.buffer.url, tmp_path, name="new", workers=1) as tier:
            other = settled(both, tier)
            names = [tag["name"] for tag in other.get("/api/v1/global-tags")["global_tags"]]
            assert names == ["after"]
            assert "the checkpoint is of another ledger" in tier.log.read_text()
            assert other.get("/readyz")["started_from"] == "ledger"


def test_one_that_is_too_large_is_refused_in_words(tmp_path):
    """The databuffer says so in the middle of the body, and keeps nothing of it."""
    with (
        databuffer(tmp_path, MAX_BLOB_BYTES="100000") as buffer,
        logic(buffer.url, tmp_path, workers=1) as tier,
    ):
        both = Pair(buffer, tier)
        both.settle()
        write(both, "large")
        iovs = [
            {"payload_type": "A", "start": [n, 0], "name": secrets.token_hex(200)}
            for n in range(8000)
        ]
        body = json.dumps({"iovs": iovs})
        assert both.post("/api/v1/global-tags/large/iovs", body).status == 201
        refused = both.post(PATH)
        assert (refused.status, refused.json()["code"]) == (413, "too_large")
        assert "MAX_BLOB_BYTES" in refused.json()["detail"]
        assert document(both) is None
    assert not [path for path in (tmp_path / "volume" / "blobs").rglob("*") if len(path.name) == 64]
    assert left(tmp_path, "logic") == []


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_killed_while_making_and_while_taking_it_starts_again(tmp_path):
    """At any moment: the document names a sound copy or the one before, and nothing is left."""
    seed = secrets.randbelow(2**32)
    print(f"seed {seed}")
    choose = seeded(seed)
    with pair(tmp_path, WEB_CONCURRENCY="1") as both:
        for number in range(ROUNDS):
            write(both, f"round-{number}")
            killed_while_making(both, choose.uniform(0, 0.5))
            found = document(both)
            if found is not None:
                assert len(blob(both, found["digest"])) == found["size"]
            both.logic.restart()
            both.settle()
            eventually(lambda: left(tmp_path, "logic") == [])
            assert both.post(PATH).status in {200, 201}
            taking = logic(both.buffer.url, tmp_path, name=f"taking-{number}", workers=1)
            with taking as tier:
                tier.stop()
                for suffix in ("", "-wal", "-shm"):
                    (tmp_path / f"{tier.name}.sqlite{suffix}").unlink(missing_ok=True)
                tier.spawn()
                time.sleep(choose.uniform(0.3, 1.5))
                tier.kill()
                tier.restart()
                other = settled(both, tier)
                assert answers(other) == answers(both)
                eventually(lambda name=tier.name: left(tmp_path, name) == [])


def killed_while_making(both, after):
    """Ask for a checkpoint, and kill the replica so many seconds later."""
    asked = threading.Thread(target=asked_in_vain, args=(both,))
    asked.start()
    time.sleep(after)
    both.logic.kill()
    asked.join()


def asked_in_vain(both):
    """Ask for a checkpoint; the answer may never come."""
    try:
        both.http.request("POST", both.logic.url + PATH, retries=False)
    except urllib3.exceptions.HTTPError:
        return
