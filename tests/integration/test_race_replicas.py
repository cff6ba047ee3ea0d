"""Two replicas of the logic tier, two workers each, writing to the same tags at once."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from load import ask, at_once, insist, ledger_entries, may_try_again, seeded
from long import at_length
from servers import Running, databuffer, eventually, logic
from timeline_oracle import changes, oracles, tags_of
from volume_oracle import VolumeOracle, sha256

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ("Beam", "Align")
SERIAL = itertools.count(1)


@dataclass
class Pods:
    """A databuffer and the two replicas on it."""

    folder: Path
    buffer: Running
    one: Running
    two: Running

    @property
    def urls(self):
        """Both replicas."""
        return [self.one.url, self.two.url]


@pytest.fixture(scope="module")
def pods(tmp_path_factory):
    """A databuffer and two replicas with two workers each."""
    folder = tmp_path_factory.mktemp("pods")
    with (
        databuffer(folder) as buffer,
        logic(buffer.url, folder, name="one") as one,
        logic(buffer.url, folder, name="two") as two,
    ):
        for pod in (one, two):
            eventually(lambda pod=pod: ask("GET", f"{pod.url}/readyz").status == 200)
        yield Pods(folder, buffer, one, two)
        assert one.stop() == 0
        assert two.stop() == 0
        assert buffer.stop() == 0
        VolumeOracle(folder / "volume").check()
        for log in folder.glob("*.log"):
            assert "Traceback" not in log.read_text(), log


@dataclass(frozen=True)
class Wish:
    """A payload that somebody wants to hold over an interval."""

    tag: str
    payload_type: str
    start: tuple[int, int]
    end: tuple[int, int] | None
    body: bytes

    @property
    def digest(self):
        """The digest of its bytes."""
        return f"sha256:{sha256(self.body)}"

    @property
    def path(self):
        """The path to post its bytes to."""
        asked = {"tag": self.tag, "type": self.payload_type}
        asked |= {"major": self.start[0], "minor": self.start[1]}
        if self.end is not None:
            asked |= {"major_end": self.end[0], "minor_end": self.end[1]}
        return f"/stream?{urlencode(asked)}"


def wishes(choose, tags, count):
    """Return overlapping payloads, now and then open-ended, spread over tags and types."""
    made = []
    for _ in range(count):
        start = choose.randrange(30), choose.choice((0, 5))
        length = choose.choice((1, 1, 2, 5, 20, None))
        end = None if length is None else (start[0] + length, choose.choice((0, 5)))
        body = f"payload {next(SERIAL)} {choose.random()}".encode()
        made.append(Wish(choose.choice(tags), choose.choice(TYPES), start, end, body))
    return made


def new_tags(pods, count=2):
    """Create tags and wait until both replicas know them; return their names."""
    names = [f"tag-{next(SERIAL)}" for _ in range(count)]
    for name in names:
        created = ask("POST", f"{pods.one.url}/api/v1/global-tags", {"name": name})
        assert created.status == 201, created
        known = {"X-Min-LSN": str(created.lsn)}
        for url in pods.urls:
            assert ask("GET", f"{url}/api/v1/global-tags/{name}", None, known).status == 200
    return names


def store(urls, made, writers=8):
    """Let writers store the payloads at once, each through the replicas in turn; return answers."""
    key = f"wish-{next(SERIAL)}"

    def write(number):
        rotated = urls[number % len(urls) :] + urls[: number % len(urls)]
        return {
            wish.digest: insist(rotated, wish.path, wish.body, f"{key}-{wish.digest[-16:]}")
            for wish in made[number::writers]
        }

    return {digest: answer for part in at_once(writers, write) for digest, answer in part.items()}


def check_agreement(pods, tags, made, answers):
    """Compare both replicas with the brute-force oracle over the ledger, at every moment."""
    entries = ledger_entries(pods.buffer.url)
    wanted = {wish.digest: (wish.tag, wish.payload_type, wish.start, wish.end) for wish in made}
    expected = oracles([e for e in entries if tags_of(e) & set(tags)], wanted)
    for wish in made:
        answer = answers[wish.digest]
        assert answer.status == 201, answer
        (change,) = changes(entries[answer.lsn - 1])
        assert wish.digest in change["attached"]["digest"]
        assert answer.json["digest"] == wish.digest
    accepted = [one for tag in expected.values() for part in tag.types.values() for one in part]
    assert Counter(one.digest for one in accepted) == Counter(wish.digest for wish in made)
    for name in tags:
        check_tag(pods, expected[name], entries[-1]["lsn"])


def check_tag(pods, expected, lsn):
    """Compare what both replicas tell of a tag with its oracle."""
    url = f"/api/v1/global-tags/{expected.name}"
    one, two = (ask("GET", replica + url, None, {"X-Min-LSN": str(lsn)}) for replica in pods.urls)
    assert one.json == two.json
    told = {held["payload_type"]: held["payload_iovs"] for held in one.json["payload_lists"]}
    assert told == {kind: len(expected.rows(kind)) for kind in expected.types}
    assert one.json["payload_iov_count"] == sum(told.values())
    moments = expected.moments()
    for moment, following in zip(moments, [*moments[1:], None], strict=True):
        asked = f"{url}/payloads?major={moment[0]}&minor={moment[1]}"
        one, two = (ask("GET", f"{replica}{asked}") for replica in pods.urls)
        assert one.json == two.json
        held = {payload["payload_type"]: payload["digest"] for payload in one.json["payloads"]}
        assert {kind: held.get(kind) for kind in expected.types} == {
            kind: expected.at(kind, moment) for kind in expected.types
        }, moment
        assert sorted(one.json["gaps"]) == sorted(set(expected.types) - set(held))
        since, until = tuple(one.json["since"]), one.json["until"] and tuple(one.json["until"])
        assert since <= moment
        assert following is None or until is None or following <= until


# ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", at_length([1], [1, 2, 3]))
def test_no_update_is_lost_between_replicas(pods, seed):
    """Eight writers over two replicas: every payload is accepted once, and both answer the same."""
    tags = new_tags(pods)
    made = wishes(seeded(seed), tags, 96)
    answers = store(pods.urls, made)
    check_agreement(pods, tags, made, answers)


def test_one_payload_list_under_contention_loses_nothing(pods):
    """All writers at one list of one tag: conflicts are decided again, never overwritten."""
    tags = new_tags(pods, 1)
    made = [
        Wish(wish.tag, "Beam", wish.start, wish.end, wish.body)
        for wish in wishes(seeded(4), tags, 64)
    ]
    answers = store(pods.urls, made, writers=16)
    check_agreement(pods, tags, made, answers)


def test_one_decision_sent_to_both_replicas_is_one_entry(pods):
    """The same Idempotency-Key at both replicas at the same time: one entry, one answer."""
    (tag,) = new_tags(pods, 1)
    made = wishes(seeded(5), [tag], 30)
    answers = {}
    for wish in made:
        key = f"both-{next(SERIAL)}"

        def send(number, wish=wish, key=key):
            return insist([pods.urls[number % 2]], wish.path, wish.body, key)

        told = at_once(4, send)
        assert {answer.status for answer in told} == {201}
        assert len({(answer.body, answer.lsn) for answer in told}) == 1
        answers[wish.digest] = told[0]
    check_agreement(pods, [tag], made, answers)
    keys = [entry.get("idempotency_key") for entry in ledger_entries(pods.buffer.url)]
    assert max(Counter(key for key in keys if key).values()) == 1


def test_a_repeat_after_others_have_written_changes_nothing(pods):
    """A late repeat answers as the first did, and does not win over what came in between."""
    (tag,) = new_tags(pods, 1)
    first, second = (Wish(tag, "Beam", (1, 0), (5, 0), body) for body in (b"first", b"second"))
    key = f"late-{next(SERIAL)}"
    told = insist(pods.urls, first.path, first.body, key)
    last = insist(pods.urls, second.path, second.body, f"{key}-second")
    for url in pods.urls:
        again = insist([url], first.path, first.body, key)
        assert (again.status, again.body, again.lsn) == (201, told.body, told.lsn)
    check_agreement(pods, [tag], [first, second], {first.digest: told, second.digest: last})


def test_one_segment_sent_to_both_replicas_is_one_file(pods):
    """A retried segment is stored once, whichever replica it comes through."""
    before = ask("GET", f"{pods.one.url}/bufstat").json["n_itm"]
    segments = [{"h": [1.0, 2.0], "t": [1000 + number, 0.5]} for number in range(20)]
    for segment in segments:
        key = f"segment-{next(SERIAL)}"

        def send(number, segment=segment, key=key):
            return insist([pods.urls[number % 2]], "/stream", segment, key)

        told = at_once(4, send)
        assert {answer.status for answer in told} == {201}
        assert len({(answer.body, answer.lsn) for answer in told}) == 1
    after = ask("GET", f"{pods.two.url}/bufstat").json["n_itm"]
    assert after - before == len(segments)


def test_a_tag_created_through_both_replicas_is_created_once(pods):
    """Of eight who create the same tag at once, one is told so; the others find it there."""
    for _ in range(10):
        name = f"tag-{next(SERIAL)}"

        def create(number, name=name):
            return ask("POST", f"{pods.urls[number % 2]}/api/v1/global-tags", {"name": name})

        told = at_once(8, create)
        assert Counter(answer.status for answer in told) == {201: 1, 200: 7}
        assert len({answer.json["created"] for answer in told}) == 1
    made = [e["data"]["tag"] for e in ledger_entries(pods.buffer.url) if e["type"] == "tag.created"]
    assert len(made) == len(set(made))


@pytest.mark.parametrize("seed", at_length([6], [6, 7, 8]))
def test_a_tag_frozen_among_its_writers_never_changes_again(pods, seed):
    """Nothing is accepted after the freeze, and its fingerprint is that of what was before."""
    choose = seeded(seed)
    (tag,) = new_tags(pods, 1)
    made = wishes(choose, [tag], 160)
    enough = threading.Semaphore(0)
    frozen = []

    def act(number):
        if number == 0:
            for _ in range(choose.randrange(5, 40)):
                enough.acquire(timeout=30)
            path = f"/api/v1/global-tags/{tag}/freeze"
            frozen.append(insist(pods.urls, path, {"user": "alice"}, f"freeze-{next(SERIAL)}"))
            return {}
        told = {}
        for wish in made[number - 1 :: 8]:
            url = choose.choice(pods.urls)
            while may_try_again(answer := ask("POST", url + wish.path, wish.body)):
                pass
            told[wish.digest] = answer
            enough.release()
            if answer.status != 201:
                assert (answer.status, answer.json["code"]) == (409, "tag_frozen"), answer
                break
        return told

    answers = {key: answer for part in at_once(9, act) for key, answer in part.items()}
    (freeze,) = frozen
    assert freeze.status == 200, freeze
    stored = {digest: answer for digest, answer in answers.items() if answer.status == 201}
    assert all(answer.lsn < freeze.json["lsn"] for answer in stored.values())
    kept = [wish for wish in made if wish.digest in stored]
    check_agreement(pods, [tag], kept, stored)
    wanted = {wish.digest: (tag, wish.payload_type, wish.start, wish.end) for wish in kept}
    entries = [e for e in ledger_entries(pods.buffer.url) if tag in tags_of(e)]
    assert entries[-1]["type"] == "tag.frozen"
    assert freeze.json["fingerprint"] == oracles(entries, wanted)[tag].fingerprint()
    for url in pods.urls:
        again = ask("POST", f"{url}/api/v1/global-tags/{tag}/freeze")
        assert again.status == 200
        assert {**again.json, "report": None} == {**freeze.json, "report": None}
        refused = ask("POST", url + made[0].path, b"too late")
        assert (refused.status, refused.json["code"]) == (409, "tag_frozen")


def test_a_tag_made_through_one_replica_takes_payloads_through_the_other_at_once(pods):
    """A replica that has not yet heard of a tag looks again before it says there is none."""
    for number in range(20):
        name = f"tag-{next(SERIAL)}"
        made, used = pods.urls[number % 2], pods.urls[(number + 1) % 2]
        assert ask("POST", f"{made}/api/v1/global-tags", {"name": name}).status == 201
        wish = Wish(name, "Beam", (1, 0), None, b"first of its tag")
        stored = ask("POST", used + wish.path, wish.body)
        assert stored.status == 201, stored


def test_what_one_replica_acknowledged_the_other_shows_on_request(pods):
    """With X-Min-LSN a client reads its own write wherever it asks."""
    (tag,) = new_tags(pods, 1)
    for number, wish in enumerate(wishes(seeded(9), [tag], 30)):
        stored = insist([pods.urls[number % 2]], wish.path, wish.body, f"own-{next(SERIAL)}")
        asked = f"/api/v1/global-tags/{tag}/payloads?major={wish.start[0]}&minor={wish.start[1]}"
        headers = {"X-Min-LSN": str(stored.lsn)}
        seen = ask("GET", pods.urls[(number + 1) % 2] + asked, None, headers)
        assert seen.lsn >= stored.lsn
        assert wish.digest in [payload["digest"] for payload in seen.json["payloads"]]


def test_a_replica_killed_among_writers_comes_back_with_the_same_answers(pods):
    """Kill -9 of a replica loses nothing: its clients go on with the other, and it catches up."""
    tags = new_tags(pods)
    made = wishes(seeded(10), tags, 120)
    answers = {}
    writing = threading.Thread(target=lambda: answers.update(store(pods.urls, made)))
    writing.start()
    for _ in range(3):
        head = ask("GET", f"{pods.buffer.url}/ledger/head").json["lsn"]
        eventually(
            lambda head=head: (
                not writing.is_alive()
                or ask("GET", f"{pods.buffer.url}/ledger/head").json["lsn"] > head + 10
            )
        )
        pods.two.kill()
        pods.two.restart()
    writing.join(60)
    assert len(answers) == len(made)
    check_agreement(pods, tags, made, answers)


def delete_view(pods, name):
    """Delete a replica's view, whatever journals lie beside it included."""
    for suffix in ("", "-wal", "-shm"):
        (pods.folder / f"{name}.sqlite{suffix}").unlink(missing_ok=True)


def test_a_view_that_was_deleted_is_rebuilt_to_the_same_answers(pods):
    """The view holds no truth: deleted under a stopped or a running replica, it is made again."""
    tags = new_tags(pods)
    made = wishes(seeded(11), tags, 40)
    answers = store(pods.urls, made)
    assert pods.two.stop() == 0
    delete_view(pods, "two")
    pods.two.restart()
    eventually(lambda: ask("GET", f"{pods.two.url}/readyz").status == 200)
    check_agreement(pods, tags, made, answers)
    delete_view(pods, "one")
    eventually(lambda: ask("GET", f"{pods.one.url}/readyz").status == 200, within=20)
    check_agreement(pods, tags, made, answers)
    more = wishes(seeded(12), tags, 40)
    answers |= store(pods.urls, more)
    check_agreement(pods, tags, made + more, answers)


def test_readers_of_a_view_that_is_deleted_are_answered_or_told_to_come_back(pods):
    """Again and again deleted under six readers: they get the answer or 503, nothing else."""
    (tag,) = new_tags(pods, 1)
    deleted = threading.Event()

    def act(number):
        if number == 0:
            for _ in range(at_length(8, 20)):
                delete_view(pods, "one")
                segment = {"h": [1.0, 2.0], "t": [next(SERIAL), 0.5]}
                assert ask("POST", f"{pods.buffer.url}/sendF", segment).status == 201
                eventually(lambda: ask("GET", f"{pods.one.url}/readyz").status == 200, within=20)
            deleted.set()
        told = set()
        while not deleted.is_set():
            for path in ("/", "/api/v1/global-tags", f"/api/v1/global-tags/{tag}"):
                told.add(ask("GET", pods.one.url + path).status)
        return told

    assert set().union(*at_once(7, act)) == {200, 503}
