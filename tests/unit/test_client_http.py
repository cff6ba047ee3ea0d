"""The client against a scripted server: what it sends, what it believes, what it says."""

import http.server
import json
import threading
from collections import deque
from pathlib import Path

import pytest

from condstore import results
from condstore.client import Client
from condstore.digests import Digest
from condstore.errors import (
    CondstoreError,
    Conflict,
    DamagedPayload,
    Denied,
    Frozen,
    Malformed,
    NotFound,
    ServerAway,
    ServerFailed,
    TooLarge,
    TooOften,
    Unauthenticated,
    UnexpectedAnswer,
    UsageError,
    from_answer,
)
from condstore.moments import Moment
from condstore.producer import Producer
from condstore.retry import Policy
from condstore.segments import Segment
from condstore.terminal import Terminal

QUICK = Policy(attempts=4, first=0.001, cap=0.002, patience=5.0)
CONTENT = b"payload bytes" * 1000
TAGS = {"lsn": 7, "global_tags": [], "next": None}


class Quiet(http.server.ThreadingHTTPServer):
    """A server that keeps to itself when a caller hangs up."""

    def handle_error(self, *_):
        """Say nothing."""


class Scripted:
    """Answers each request with the next of its answers, the last one again and again."""

    def __init__(self):
        self.answers = deque([(200, {}, b"{}")])
        self.requests = []
        script = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                script.requests.append((self.command, self.path, dict(self.headers), body))
                answers = script.answers
                status, headers, answer = answers.popleft() if len(answers) > 1 else answers[0]
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)
                self.close_connection = int(headers.get("Content-Length", len(answer))) != len(
                    answer
                )

            do_GET = do_POST = do_HEAD = handle_any  # noqa: N815

            def log_message(self, *_):
                """Say nothing."""

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def will(self, *answers):
        """Script the answers: (status, headers, body as bytes or anything JSON)."""
        self.answers = deque(
            (status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())
            for status, headers, body in answers
        )


@pytest.fixture
def server():
    """Run a scripted server."""
    scripted = Scripted()
    thread = threading.Thread(target=scripted.server.serve_forever, args=(0.02,))
    thread.start()
    yield scripted
    scripted.server.shutdown()
    scripted.server.server_close()
    thread.join()


def client(*servers):
    """Return a quick client of these servers or URLs."""
    return Client(tuple(getattr(one, "url", one) for one in servers), policy=QUICK)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"detail": "t: not ascending", "code": "malformed"}, Malformed),
        (404, {"detail": "no tag X", "code": "tag_not_found"}, NotFound),
        (409, {"detail": "overlap", "code": "tag_locked"}, Conflict),
        (409, {"detail": "frozen", "code": "tag_frozen"}, Frozen),
        (412, {"detail": "moved", "code": "precondition_failed"}, Conflict),
        (413, {"detail": "too large", "code": "too_large"}, TooLarge),
        (422, {"detail": "digest", "code": "digest_mismatch"}, Malformed),
        (500, {"detail": "Internal error!", "code": "internal"}, ServerFailed),
        (507, {"body": "Fs error detected", "code": "ERRIO"}, ServerFailed),
        (503, {"code": "FROZEN", "body": "Datastore frozen."}, Frozen),
        (503, b"Datastore frozen.", Frozen),
        (503, {"detail": "databuffer away", "code": "buffer_away"}, ServerAway),
        (401, {"detail": "expired", "code": "unauthenticated"}, Unauthenticated),
        (403, {"detail": "needs the role editor", "code": "permission_denied"}, Denied),
        (429, b"", TooOften),
    ],
)
def test_an_answer_becomes_the_error_it_means(status, body, kind):
    """By status, and a frozen store by its own words; detail and code are the server's."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = from_answer(status, {}, raw, "http://here")
    assert type(error) is kind
    if isinstance(body, dict):
        assert (body.get("detail") or body["body"]) in str(error)
        assert getattr(error, "code", body["code"]) == body["code"]


def test_a_server_that_is_away_for_a_moment_is_asked_again(server):
    """503 with Retry-After, then the answer; the key is the same each time."""
    server.will(
        (503, {"Retry-After": "0"}, {"detail": "away"}), (201, {"X-Ledger-LSN": "9"}, b"ok")
    )
    assert client(server).stream_segment(Segment("A", b"{}", 1)) == results.Stored("ok", 9)
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in server.requests]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_a_refusal_is_not_asked_again(server):
    """A frozen buffer answers 503 by contract, and stays frozen."""
    server.will((503, {}, b"Datastore frozen."))
    with pytest.raises(Frozen, match="Datastore frozen"):
        client(server).stream_segment(Segment("A", b"{}", 1))
    assert len(server.requests) == 1


def test_what_was_written_is_read(server):
    """After a write at LSN 9 every request asks for a view at least as new."""
    server.will((201, {"X-Ledger-LSN": "9"}, b"ok"), (200, {"X-Ledger-LSN": "8"}, TAGS))
    one = client(server)
    one.stream_segment(Segment("A", b"{}", 1))
    one.tags()
    one.tags()
    assert [headers.get("X-Min-LSN") for _, _, headers, _ in server.requests] == [None, "9", "9"]
    assert one.lsn == 9


def test_the_next_replica_is_asked_and_remembered(server):
    """A dead replica costs one attempt, not one each time."""
    server.will((200, {}, TAGS))
    one = client("http://127.0.0.1:1", server)
    assert one.tags() == ()
    assert one.url == server.url


def test_nobody_there_says_where_and_what_to_do():
    """The URL, the reason, the remedy."""
    with pytest.raises(ServerAway, match=r"127\.0\.0\.1:1 \(Connection refused\).*condstore up"):
        client("http://127.0.0.1:1").tags()


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", {"global_tags": [{}]}])
def test_another_service_on_the_port_is_told_apart(server, body):
    """An answer that is not ours is said to be that, not a traceback."""
    server.will((200, {}, body))
    with pytest.raises(UnexpectedAnswer, match="another service on that port"):
        client(server).tags()


ODD = {"n_itm": 1, "buff_size": 1, "dstatus": "OPERATIONAL", "user": "u", "token": "t"}


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 100_000, json.dumps(ODD).replace("1", "1e999").encode(), b"\xff"],
    ids=["deep", "deeper", "infinite", "no UTF-8"],
)
def test_an_answer_made_to_break_a_client_is_an_unexpected_answer(server, body):
    """Whatever stands in a body, the client says in one line that it is not our server's."""
    server.will((200, {}, body))
    with pytest.raises(UnexpectedAnswer):
        client(server).buffer()
    assert isinstance(from_answer(400, {}, body, "http://here"), Malformed)


def test_values_are_of_their_kind_whatever_was_sent(server):
    """What is shown as text is text, and a ledger position has at most 19 digits."""
    told = {"global_tags": [row("a") | {"fingerprint": 5}], "next": None}
    server.will((200, {"X-Ledger-LSN": "9" * 5000}, told))
    one = client(server)
    assert one.tags()[0].fingerprint == "5"
    assert one.lsn == 0


def row(name):
    """Return a tag as the server lists it."""
    counts = {"payload_list_count": 1, "payload_iov_count": 1}
    told = {"description": "", "author": None, "streamed": False, "created": "", "updated": ""}
    return {"name": name, "state": "locked", "fingerprint": None, "lsn": 1} | counts | told


def test_tags_are_read_to_the_last_page(server):
    """The name that a page ends with is where the next one begins."""
    server.will(
        (200, {}, {"global_tags": [row("a"), row("b")], "next": "b"}),
        (200, {}, {"global_tags": [row("c")], "next": None}),
    )
    assert [tag.name for tag in client(server).tags()] == ["a", "b", "c"]
    assert [path for _, path, _, _ in server.requests][-1].endswith("?after=b")


def test_pages_without_an_end_are_no_condstore_servers(server):
    """Another service that answers with the same page for ever holds nobody."""
    server.will((200, {}, {"global_tags": [row("b")], "next": "b"}))
    with pytest.raises(UnexpectedAnswer):
        client(server).tags()


def test_history_without_an_end_is_no_condstore_servers(server):
    """Every list that is paged ends, or is told apart."""
    act = {"lsn": 5, "time": "", "actor": "", "act": "", "about": {}}
    server.will((200, {}, {"entries": [act], "next": 5}))
    with pytest.raises(UnexpectedAnswer, match="again and again"):
        list(client(server).history("T"))
    server.will((200, {}, {"segments": [], "next": "5:0"}))
    with pytest.raises(UnexpectedAnswer, match="again and again"):
        client(server).segments("T@5", "A")


@pytest.mark.parametrize("answer", [None, (404, {}, b"{}"), (302, {}, b""), (200, {}, b"<html>")])
def test_a_password_in_a_url_is_in_no_message(server, answer):
    """Neither of a server that is away, nor one that refuses, nor another service."""
    host = "127.0.0.1:1" if answer is None else server.url.removeprefix("http://")
    if answer is not None:
        server.will(answer)
    one = client(f"http://alice:s3cr@t@{host}")
    with pytest.raises(CondstoreError) as failed:
        one.tags()
    assert "s3cr" not in f"{failed.value} {one.url} {vars(failed.value)}"
    assert host in str(failed.value)


def test_a_servers_words_do_not_move_the_terminal(capsys):
    """A detail with escape sequences and line breaks stays one visible line."""
    terminal = Terminal.standard(colour=False)
    terminal.complain("condstore: \x1b]0;title\x07\x1b[2J\r\nsecond \x9b5n")
    terminal.say("\x1b[31mred\x1b[0m\x08")
    written = capsys.readouterr()
    assert written.err == "condstore: �]0;title��[2J second �5n\n"
    assert written.out == "\x1b[31mred\x1b[0m�\n"


@pytest.mark.parametrize("status", [200, 202, 204, 206, 302, 304, 308])
def test_only_created_is_believed_to_be_stored(server, status):
    """A login page or a redirect in front of the server stores nothing, and is not said to."""
    server.will((status, {"Location": "http://127.0.0.1:1/login"}, b""))
    one = client(server)
    where = results.Validity(Moment(1))
    for store in (
        lambda: one.stream_payload(b"bytes", "Beam", where),
        lambda: one.stream_segment(Segment("A", b"{}", 1)),
        one.flush_buffer,
    ):
        with pytest.raises(UnexpectedAnswer, match=f"answered {status}"):
            store()


def test_a_page_of_another_service_is_no_waiting_buffer(server):
    """Only the twin's own words say that the buffer waits."""
    server.will((200, {}, b"<html>hello</html>"))
    with pytest.raises(UnexpectedAnswer, match="another service"):
        client(server).freeze_buffer("alice", "t")
    server.will((200, {}, b"Waiting for more incoming data.\n"))
    assert not client(server).freeze_buffer("alice", "t").frozen


def test_a_download_lands_verified(server, tmp_path):
    """The file has the content and an ordinary mode; nothing else is left beside it."""
    server.will((200, {}, CONTENT))
    target = tmp_path / "payload"
    heard = []
    assert client(server).download(Digest.of(CONTENT), target, heard.append) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert sum(heard) == len(CONTENT)
    assert list(tmp_path.iterdir()) == [target]
    assert target.stat().st_mode & 0o444 == 0o444


def test_wrong_bytes_are_never_published(server, tmp_path):
    """What does not hash to its name does not get a name; an older file stays."""
    server.will((200, {}, CONTENT))
    target = tmp_path / "payload"
    target.write_text("older")
    with pytest.raises(DamagedPayload, match="was not written"):
        client(server).download(Digest.of(b"other"), target)
    assert target.read_text() == "older"
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(DamagedPayload):
        client(server).payload(Digest.of(b"other"))


def test_a_broken_download_is_begun_again(server, tmp_path):
    """Half a body, then the whole: one file, right."""
    half = (200, {"Content-Length": str(len(CONTENT))}, CONTENT[:500])
    server.will(half, (200, {}, CONTENT))
    target = tmp_path / "payload"
    assert client(server).download(Digest.of(CONTENT), target) == len(CONTENT)
    assert target.read_bytes() == CONTENT


def test_a_broken_download_goes_on_where_it_was(server, tmp_path):
    """Of what came, whole pieces are kept, and only the rest is asked for."""
    content = CONTENT * 300
    rest = content[1 << 20 :]
    half = (200, {"Content-Length": str(len(content))}, content[: 3 << 19])
    server.will(half, (206, {"Content-Range": f"bytes {1 << 20}-{len(content) - 1}/*"}, rest))
    target = tmp_path / "payload"
    assert client(server).download(Digest.of(content), target) == len(content)
    assert target.read_bytes() == content
    assert [headers.get("Range") for _, _, headers, _ in server.requests] == [
        None,
        f"bytes={1 << 20}-",
    ]


def test_a_file_is_sent_again_from_its_start(server, tmp_path):
    """A retried upload sends the whole file, with its interval of validity."""
    path = Path(tmp_path / "beam.root")
    path.write_bytes(CONTENT)
    server.will((503, {}, b"later"), (201, {}, b"{}"))
    where = results.Validity(Moment(1200, 17), Moment(1300), "2026-prompt")
    client(server).stream_payload(path, "Beam", where)
    assert [body for _, _, _, body in server.requests] == [CONTENT, CONTENT]
    assert server.requests[1][1] == (
        "/stream?type=Beam&major=1200&minor=17&major_end=1300&minor_end=0&tag=2026-prompt"
    )


async def test_the_producer_is_bounded_and_stops_at_a_refusal(server):
    """It draws no more segments than it has in flight, and ends with the refusal itself."""
    server.will((503, {}, b"Datastore frozen."))
    drawn = []

    def segments():
        for number in range(1000):
            drawn.append(number)
            yield Segment("A", b"%d" % number, 1)

    with pytest.raises(Frozen):
        await Producer((server.url,), in_flight=4, period="", policy=QUICK).stream(segments())
    assert len(drawn) <= 8


async def test_the_producer_tries_again_under_the_same_key(server):
    """Each segment is acknowledged once, whatever happened before."""
    away = (503, {"Retry-After": "0"}, b"")
    server.will(away, away, (201, {"X-Ledger-LSN": "5"}, b"ok"))
    told = []
    producer = Producer((server.url,), in_flight=2, period="", policy=QUICK, tell=told.append)
    report = await producer.stream(Segment("A", b"%d" % number, 1) for number in range(10))
    assert (report.segments, len(told), report.lsn) == (10, 10, 5)
    keys = [headers["Idempotency-Key"] for _, _, headers, _ in server.requests]
    assert len(keys) == 12
    assert len(set(keys)) == 10


@pytest.mark.parametrize(
    "text", ["", "x", "1:2:3", "1.0000000001", "-1", "1e9", "9" * 20, f"{2**63}", "1:"]
)
def test_a_moment_is_exact_or_refused(text):
    """No rounding, no sign, no more than nanoseconds."""
    with pytest.raises(UsageError):
        Moment.parse(text)


@pytest.mark.parametrize("when", [1.5, float("nan"), None, True, (1, 2, 3), (1, 2.0), {}, b"1"])
def test_what_is_no_moment_is_wrong_use(when):
    """A float above all: nine decimals of a GPS time do not fit in one."""
    with pytest.raises(UsageError, match="is not a moment"):
        Moment.of(when)


@pytest.mark.parametrize(
    "url",
    ["http://[::1", "http://a:99999", "http://a:x", "http://", "http://..:1", f"http://{'a' * 70}"],
)
def test_a_url_that_leads_nowhere_is_wrong_use(url):
    """Client and producer say so, before anything is asked."""
    for make in (Client, Producer):
        with pytest.raises(UsageError, match="URL"):
            make(url)


@pytest.mark.parametrize("key", ["\u65e5", "\u00e9", "a\nX-Header: b", " a", "\0"])
def test_a_key_that_no_header_carries_is_wrong_use(server, key):
    """It is not sent, and nobody is said to be away."""
    with pytest.raises(UsageError, match="printable ASCII"):
        client(server).create_type("Beam", key=key)
    assert not server.requests


@pytest.mark.parametrize(
    "asked", ["9" * 4000, "soon", "-1", "Thu, 99999999999999999999 Jan 2020 00:01:00 GMT", "1 1 1"]
)
def test_a_retry_after_that_says_nothing_is_not_believed(server, asked):
    """Whatever a server or proxy asks for, it is away."""
    server.will((503, {"Retry-After": asked}, b""))
    with pytest.raises(ServerAway):
        client(server).payload_types()


def test_answers_about_other_moments_are_not_taken_for_those_asked_for(server):
    """Neither fewer nor others, as a proxy that mixes up answers would give."""
    server.will((200, {}, {"resolutions": []}))
    with pytest.raises(UnexpectedAnswer, match="other moments"):
        client(server).resolve_many("prompt", [1, 2])


@pytest.mark.parametrize("text", ["", "sha256:", "md5:" + "0" * 64, "0" * 63, "../" + "0" * 64])
def test_a_digest_is_well_formed_or_refused(text):
    """Nothing else ever becomes part of a URL or a file name."""
    with pytest.raises(UsageError):
        Digest.parse(text)
