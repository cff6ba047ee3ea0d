"""Every method of the client against the real servers: what it returns, what it raises."""

import hashlib
import http.server
import inspect
import json
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from logic_pair import pair
from servers import ROOT

from condstore import Client, Digest, Moment, NewIOV
from condstore.errors import Conflict, Frozen, Malformed, NotFound, UsageError
from condstore.results import Span, TagStanding
from condstore.retry import Policy
from condstore.segments import Segment
from condstore.transport import Timeouts

QUICK = Policy(attempts=3, first=0.01, cap=0.05, patience=5.0)

METHODS = {
    "listTags": "tags", "createTag": "create_tag", "showTag": "tag", "deleteTag": "delete_tag",
    "cloneTag": "clone_tag", "lockTag": "lock_tag", "unlockTag": "unlock_tag",
    "unfreezeTag": "unfreeze_tag", "freezeTag": "freeze_tag", "checkTag": "check",
    "diffTags": "diff", "tagHistory": "history", "resolve": "resolve",
    "resolveMany": "resolve_many", "insertIovs": "insert_iovs", "listIovs": "iovs",
    "deleteIov": "delete_iov", "attachList": "attach_list", "detachList": "detach_list",
    "listTypes": "payload_types", "createType": "create_type", "deleteType": "delete_type",
    "createList": "create_list", "showList": "payload_list", "deleteList": "delete_list",
    "storePayload": "put_payload", "missingPayloads": "lacks", "fetchPayload": "open",
    "describePayload": "put_payload", "listSegments": "segments", "linkPayload": "payload_link",
    "withdrawFreeze": "withdraw_freeze", "whoami": "whoami", "listTokens": "tokens",
    "makeToken": "make_token", "revokeToken": "revoke_token", "makeCheckpoint": "make_checkpoint",
}  # fmt: skip
"""Which method makes which call of the API."""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Run both tiers for the tests of this file."""
    with pair(tmp_path_factory.mktemp("calls")) as running:
        yield running


@pytest.fixture(scope="module")
def client(both):
    """Return a client of alice's."""
    return Client(both.logic.url, policy=QUICK, user="alice")


def three(client, name):
    """Make a tag: Beam over [100, 200) and from 200 on, Field over [150, 180)."""
    client.create_tag(name, description="for a test", author="alice")
    client.insert_iovs(
        name,
        [
            NewIOV("Beam", Moment(200), name="beam-200"),
            NewIOV("Beam", Moment(100), name="beam-100", checksum="crc32:1", size=7, revision=3),
            NewIOV("Field", Moment(150), Moment(180, 5), name="field-7"),
        ],
    )
    return name


def test_every_call_of_the_api_has_a_method():
    """A call that the document gains must gain a method; only its own pages are not asked for."""
    document = json.loads((ROOT / "datastore_logic/openapi.json").read_text())
    calls = {
        call["operationId"] for path in document["paths"].values() for call in path.values()
    } - {"openapi", "docs"}
    assert calls == METHODS.keys()
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction)}
    assert set(METHODS.values()) <= public


def test_a_tag_is_made_once_and_described(client):
    """Made, made again, listed, found; all that was said of it comes back."""
    made = client.create_tag("Once", description="words", author="bob", state="locked")
    assert (made.name, made.state, made.description, made.author) == (
        "Once", "locked", "words", "bob",
    )  # fmt: skip
    assert client.create_tag("Once") == made
    assert client.tag("Once").tag == made
    assert [tag.name for tag in client.tags(search="nce", state="locked")] == ["Once"]
    assert made.reference == f"Once@{made.lsn}"


def test_what_holds_and_for_how_long(client):
    """A payload is all that was said of it; a gap is none; the answer tells where it ends."""
    three(client, "Holds")
    found = client.resolve("Holds", 160)
    assert (found.since, found.until, found.gaps) == (Moment(150), Moment(180, 5), ())
    beam = found.payload("Beam")
    assert (beam.name, beam.checksum, beam.size, beam.revision) == ("beam-100", "crc32:1", 7, 3)
    assert (beam.start, beam.end, beam.digest) == (Moment(100), Moment(200), None)
    late = client.resolve("Holds", (180, 5))
    assert (late.gaps, late.payload("Field")) == (("Field",), None)
    assert client.resolve("Holds", "250.5", "Beam").payloads[0].end is None
    with pytest.raises(NotFound) as refused:
        client.resolve("Holds", 1, "Nothing")
    assert (refused.value.status, refused.value.code) == (404, "payload_type_not_found")


def test_many_moments_are_of_one_state(client):
    """More than one request takes: the same answers as one by one, in their order."""
    three(client, "Many")
    moments = [Moment(90 + number // 10, number % 7) for number in range(2300)]
    found = client.resolve_many("Many", moments, ["Beam"])
    assert [one.moment for one in found] == moments
    for one in found[::97]:
        assert one.payloads == client.resolve("Many", one.moment, "Beam").payloads
    assert client.resolve_many("Many", []) == ()


def test_iovs_are_listed_over_every_page(client):
    """All of them, or those that overlap an interval; each is what was inserted."""
    client.create_tag("Pages")
    sent = [NewIOV("Beam", Moment(number), name=f"b{number}") for number in range(12_000)]
    assert client.insert_iovs("Pages", sent).inserted == 12_000
    listed = list(client.iovs("Pages", "Beam"))
    assert [iov.name for iov in listed] == [f"b{number}" for number in range(12_000)]
    assert listed[-1].end is None
    some = [iov.start.major for iov in client.iovs("Pages", "Beam", (10, 1), 12)]
    assert some == [10, 11]
    assert next(client.iovs("Pages", "Beam", 11_999)).end is None


def test_states_follow_one_another(client):
    """Lock, unlock, freeze, unfreeze: each answers how the tag stands; again changes nothing."""
    three(client, "States")
    locked = client.lock_tag("States", reason="nightly")
    assert locked == TagStanding("States", "locked", None, locked.lsn)
    assert client.lock_tag("States") == locked
    with pytest.raises(Conflict, match="overlap"):
        client.insert_iovs("States", [NewIOV("Field", Moment(160), Moment(170), name="x")])
    assert client.unlock_tag("States").state == "unlocked"
    frozen = client.freeze_tag("States", reason="O4", report=False)
    assert (frozen.state, frozen.report) == ("frozen", None)
    assert client.freeze_tag("States").reference == frozen.reference == client.pin("States")
    with pytest.raises(Frozen) as refused:
        client.insert_iovs("States", [NewIOV("Beam", Moment(1), name="x")])
    assert refused.value.code == "tag_frozen"
    with pytest.raises(Malformed, match="reason"):
        client.unfreeze_tag("States", reason=" ")
    assert client.unfreeze_tag("States", reason="beam-200 was wrong").state == "unlocked"
    assert client.tag(frozen.reference).tag.fingerprint == frozen.fingerprint
    acts = list(client.history("States"))
    assert [act.act for act in acts][:2] == ["tag.changed", "tag.frozen"]
    assert {act.actor for act in acts} == {"alice"}
    assert [act.lsn for act in client.history("States", limit=2)] == [act.lsn for act in acts[:2]]


def test_a_strict_freeze_reports_what_speaks_against_it(client):
    """The report is a value; the refusal carries its code, and nothing is frozen."""
    client.create_tag("Strict")
    client.insert_iovs(
        "Strict",
        [NewIOV("Beam", Moment(1), Moment(2), name="a"), NewIOV("Beam", Moment(5), name="b")],
    )
    report = client.check("Strict")
    (beam,) = report.payload_types
    assert (report.ok, report.totals["gaps"], beam.kept_elsewhere) == (False, 1, 2)
    assert [(gap.start, gap.end) for gap in beam.gaps.first] == [(Moment(2), Moment(5))]
    with pytest.raises(Conflict) as refused:
        client.freeze_tag("Strict", strict=True)
    assert refused.value.code == "preflight_failed"
    assert client.tag("Strict").tag.state == "unlocked"
    client.insert_iovs("Strict", [NewIOV("Beam", Moment(2), Moment(5), name="c")])
    frozen = client.freeze_tag("Strict", strict=True, read_bytes=True)
    assert frozen.report is not None
    assert frozen.report.ok
    assert client.check("Strict", template="Strict").missing_types == ()


def test_a_difference_says_what_to_process_again(client):
    """Intervals over which payloads differ, each side told; a gap is a side of None."""
    three(client, "Old")
    assert client.clone_tag("Old", "New", description="next").description == "next"
    client.insert_iovs("New", [NewIOV("Beam", Moment(170), name="beam-170")])
    client.delete_iov("New", "Field", 150, (180, 5))
    found = client.diff("Old", "New")
    assert found.reprocess == (Span(Moment(150), Moment(200)),)
    assert [(one.payload_type, one.start, one.end) for one in found.changes] == [
        ("Beam", Moment(170), Moment(200)), ("Field", Moment(150), Moment(180, 5)),
    ]  # fmt: skip
    assert found.changes[0].new.name == "beam-170"
    assert found.changes[1].new is None
    assert len(client.diff("Old", "New", "Beam").changes) == 1
    assert not client.diff("Old", "New", limit=1).complete


def test_types_and_lists_come_and_go(client):
    """A list is made, attached in place of another, detached and deleted; so is its type."""
    three(client, "Lists")
    kind = client.create_type("Gain")
    assert client.create_type("Gain") == kind
    assert [one.name for one in client.payload_types(search="gai")] == ["Gain"]
    made = client.create_list("Gain")
    assert client.payload_list(made.name) == made
    client.attach_list("Lists", "Gain", made.name)
    assert client.payload_list(made.name).tag == "Lists"
    assert "Gain" in {held.payload_type for held in client.tag("Lists").payload_lists}
    with pytest.raises(Conflict):
        client.delete_type("Gain")
    client.detach_list("Lists", "Gain")
    client.delete_list(made.name)
    assert client.delete_type("Gain") == client.lsn
    assert client.payload_types(search="Gain") == ()
    client.delete_tag("Lists")
    with pytest.raises(NotFound):
        client.tag("Lists")


@pytest.mark.parametrize("size", [0, 13, 1 << 20])
def test_a_payload_is_sent_once_and_comes_back(client, tmp_path, size):
    """From memory or a file, small or large; what is there is not sent again, nor needed."""
    content = hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1)
    content = content[:size]
    file = tmp_path / "payload"
    file.write_bytes(content)
    digest = Digest.of(content)
    assert client.lacks([digest, digest]) == {digest}
    first, again = client.put_payload(file), client.put_payload(content)
    assert (first.digest, first.size, first.new) == (digest, size, True)
    assert (again.digest, again.size, again.new) == (digest, size, False)
    assert client.lacks([digest]) == frozenset()
    with client.open(digest) as opened:
        assert opened.read() == content
    assert client.payload(str(digest)) == content
    assert client.download(digest, tmp_path / "back") == size


def test_a_payload_kept_elsewhere_is_not_asked_for(client):
    """The reference is a name, and the error says so."""
    three(client, "Elsewhere")
    with pytest.raises(UsageError, match=r"beam-100 \(Beam\) is kept elsewhere"):
        client.open(client.resolve("Elsewhere", 120).payload("Beam"))
    with pytest.raises(UsageError, match="a gap"):
        client.open(client.resolve("Elsewhere", 190).payload("Field"))


def test_a_new_iov_is_written_as_moments_are_written_elsewhere(client, tmp_path):
    """A run, a pair, or text; a payload by its path in text too."""
    file = tmp_path / "beam"
    file.write_bytes(b"beam by path")
    client.create_tag("Written")
    digest = client.put_payload(str(file)).digest
    client.insert_iovs("Written", [NewIOV("Beam", 5, (6, 7), digest=digest)])
    (held,) = client.iovs("Written", "Beam")
    assert (held.start, held.end) == (Moment(5), Moment(6, 7))
    with pytest.raises(UsageError, match=r"5\.5"):
        NewIOV("Beam", 5.5, name="x")


def test_an_insert_under_its_key_is_done_once(client):
    """Another process that tries the same again changes nothing; another request is refused."""
    client.create_tag("Keyed")
    first = client.insert_iovs("Keyed", [NewIOV("Beam", Moment(1), name="a")], key="run-1")
    assert client.insert_iovs("Keyed", [NewIOV("Beam", Moment(1), name="a")], key="run-1") == first
    with pytest.raises(Conflict) as refused:
        client.insert_iovs("Keyed", [NewIOV("Beam", Moment(2), name="a")], key="run-1")
    assert refused.value.code == "idempotency_key_reused"


def test_a_freeze_repeated_after_it_was_opened_has_no_fingerprint(client):
    """The key is answered, nothing is frozen anew, and what it says is true."""
    client.create_tag("Opened")
    first = client.freeze_tag("Opened", key="campaign-7")
    client.unfreeze_tag("Opened", reason="too early")
    again = client.freeze_tag("Opened", key="campaign-7")
    assert (again.state, again.fingerprint) == ("unlocked", None)
    assert again.reference == f"Opened@{again.lsn}"
    assert client.tag(first.reference).tag.fingerprint == first.fingerprint


def test_the_buffer_is_filled_looked_at_and_flushed(client):
    """Files and log tell each segment; a flush opens a new filling."""
    segment = Segment("A", b'{"h":[1.5,2.5],"t":[1000,0.5]}', 2)
    stored = client.stream_segment(segment)
    assert client.stream_segment(segment) == stored
    (name,) = client.buffer_files()
    assert [line["name"] for line in client.buffer_log()] == [name]
    assert client.buffer().files == 1
    client.flush_buffer()
    assert client.buffer_files() == ()
    period = client.period("stream")
    assert period.startswith("stream-")
    client.create_tag("stream-notes")
    assert client.period("stream") == period, "a tag of one's own is no filling"


def test_the_segments_of_a_stream_are_all_told(both):
    """Also what a newer one covers, in the order they came; another list has none."""
    with Client(both.logic.url, policy=QUICK) as client:
        for body in (b'{"h":[1,2],"t":[5000,0.5]}', b'{"h":[3,4],"t":[5000,0.5]}'):
            client.stream_segment(Segment("Twice", body, 2))
        told = client.segments("stream", "Twice")
        assert told is not None
        assert [(one.start, one.end) for one in told] == [(Moment(5000), Moment(5001))] * 2
        assert told[0].lsn < told[1].lsn
        assert len(list(client.iovs("stream", "Twice"))) == 1
        client.create_tag("Plain")
        client.insert_iovs("Plain", [NewIOV("Beam", Moment(1), name="a")])
        assert client.segments("Plain", "Beam") is None


def test_threads_share_a_client(client):
    """Thirty-two threads write and read their own, at once."""
    client.create_tag("Threads")

    def one(number):
        row = NewIOV(f"T{number}", Moment(number), name=f"n{number}")
        client.insert_iovs("Threads", [row])
        return client.resolve("Threads", number, f"T{number}").payloads[0].name

    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(one, range(64))) == [f"n{number}" for number in range(64)]


def test_a_forked_process_asks_on_its_own(client):
    """Parent and children go on with one client, each answer going to who asked."""
    for number in range(4):
        client.create_tag(f"Forked{number}")

    def ask(number):
        for _ in range(50):
            assert client.tag(f"Forked{number}").tag.name == f"Forked{number}"

    children = [
        multiprocessing.get_context("fork").Process(target=ask, args=(n,)) for n in range(3)
    ]
    for child in children:
        child.start()
    ask(3)
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]


def test_names_never_leave_their_place_in_a_path(client):
    """Odd names reach the server as they are, and are refused there by their field."""
    for odd in ("../payload-types", "a/b", "", "..", "x" * 500, "Ω", "a?b=c", "a#b"):
        with pytest.raises((Malformed, NotFound, UsageError)):
            client.tag(odd)
    with pytest.raises((Malformed, NotFound)):
        client.delete_iov("Keyed", "../../Keyed", 1)


def test_a_time_out_is_a_number_of_seconds():
    """Nonsense is refused when it is given, not when it is first waited for."""
    with pytest.raises(UsageError, match="silent"):
        Timeouts(silent=0)


class Proxy(http.server.BaseHTTPRequestHandler):
    """An HTTP proxy that only notes who was asked for."""

    asked: list[str] = []  # noqa: RUF012 - of this one class

    def do_GET(self):
        """Answer every request itself."""
        self.asked.append(self.path)
        body = b'{"lsn":1,"global_tags":[],"next":null}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    """As requests and curl do: HTTP_PROXY, and NO_PROXY around it."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert Client("http://conditions.example:5000", policy=QUICK).tags() == ()
        proxy.shutdown()
    assert Proxy.asked == ["http://conditions.example:5000/api/v1/global-tags"]


def test_a_dead_replica_is_passed_over(both):
    """Writes and reads alike go to the next, and the answer's URL is remembered."""
    one = Client(["http://127.0.0.1:1", both.logic.url], policy=QUICK)
    one.create_tag("Replica")
    assert one.tag("Replica").tag.name == "Replica"
    assert one.url == both.logic.url


def test_the_environment_says_where(both, monkeypatch):
    """CONDSTORE_URL, where nothing else does."""
    monkeypatch.setenv("CONDSTORE_URL", f"{both.logic.url}/")
    assert Client().readiness().writes


def test_the_environment_names_a_cache(both, client, monkeypatch, tmp_path):
    """CONDSTORE_CACHE, for a job whose script names none; without it nothing is kept."""
    digest = client.put_payload(b"kept on the node").digest
    monkeypatch.setenv("CONDSTORE_CACHE", str(tmp_path / "cache"))
    with Client(both.logic.url, policy=QUICK) as job:
        assert job.payload(digest) == b"kept on the node"
    with Client("http://127.0.0.1:1", policy=QUICK) as alone:
        assert alone.payload(digest) == b"kept on the node"


def test_a_file_that_is_not_there_is_an_error_of_the_system(client):
    """Not one of the server's."""
    with pytest.raises(FileNotFoundError):
        client.put_payload(Path("/nowhere/at/all"))
