"""The producer's parts: the crowd, the journal, lists of files, the way to a server."""

import asyncio
import itertools
import json
import os
import socket
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from condstore.errors import (
    Frozen,
    NotFound,
    ServerAway,
    UnexpectedAnswer,
    UnreadableFile,
    UsageError,
)
from condstore.moments import Moment
from condstore.producer import PayloadFile, Producer, crowd, read_list
from condstore.producer.journal import Journal
from condstore.retry import Policy
from condstore.segments import Segment

QUICK = Policy(attempts=4, first=0.001, cap=0.002, patience=5.0)
ABOUT = {"ledger": "831d08e2", "tag": "2026-prompt"}


# the crowd --------------------------------------------------------------------------------------


async def numbers(count):
    """Yield numbers, slowly enough for others to come between."""
    for number in range(count):
        await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize("items", [lambda: range(100), lambda: numbers(100)])
async def test_a_crowd_acts_on_everything_once_and_is_bounded(items):
    """From a plain or an asynchronous source, never more at a time than there are workers."""
    now, most, done = 0, 0, []

    async def act(number):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        done.append(number)
        now -= 1

    await crowd.each(items(), act, 7)
    assert sorted(done) == list(range(100))
    assert most <= 7


async def test_after_a_failure_what_is_on_its_way_comes_home_and_nothing_is_drawn():
    """Those at work finish; the first failure is raised."""
    failed, done, drawn = asyncio.Event(), [], itertools.count()

    async def act(number):
        if number == 2:
            failed.set()
            raise NotFound("no such tag", status=404)
        await failed.wait()
        done.append(number)

    with pytest.raises(NotFound):
        await crowd.each(drawn, act, 4)
    assert sorted(done) == [0, 1]
    assert next(drawn) == 3


async def test_who_does_not_come_home_in_time_is_given_up(monkeypatch):
    """A worker that hangs does not hold the failure back for ever."""
    monkeypatch.setattr(crowd, "GRACE", 0.05)

    async def act(number):
        if number:
            raise NotFound("no such tag", status=404)
        await asyncio.Event().wait()

    with pytest.raises(NotFound):
        await crowd.each(range(2), act, 2)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_defect_in_a_callback_comes_out_as_it_is():
    """Not as a group of exceptions, and at once."""

    async def act(_number):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await crowd.each(range(9), act, 3)


# the journal ------------------------------------------------------------------------------------


def keep(path, *keys, about=ABOUT):
    """Note keys in a journal."""
    with Journal(path, about) as journal:
        for key in keys:
            journal.note(key, 7)


def test_a_journal_knows_what_was_noted_and_nothing_else(tmp_path):
    """Also in another process, later; the newest LSN with it."""
    keep(tmp_path / "j", "one", "two")
    keep(tmp_path / "j", "three")
    with Journal(tmp_path / "j", ABOUT) as journal:
        assert [key in journal for key in ("one", "two", "three", "four")] == [True] * 3 + [False]
        assert journal.lsn == 7


def test_a_journal_cut_anywhere_is_taken_up(tmp_path):
    """Whatever byte was the last to be written: it may know less, and can be written on."""
    path = tmp_path / "j"
    keep(path, "one", "two")
    content = path.read_bytes()
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        keep(path, "three")
        with Journal(path, ABOUT) as journal:
            assert "three" in journal
            assert ("two" in journal) == (length == len(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89HDF\r\n\x1a\n", "is not a resume file; it was left as it is"),
        (b"no line at all", "is not a resume file; it was left as it is"),
        (b'{"a":1}\n', "is not a resume file; it was left as it is"),
        (
            json.dumps({"condstore": "resume", "ledger": "831d08e2", "tag": "B"}).encode() + b"\n",
            "its tag is 'B', now it is '2026-prompt'",
        ),
        (
            json.dumps({"condstore": "resume", "ledger": "0000", "tag": "2026-prompt"}).encode(),
            "its ledger is '0000', now it is '831d08e2'",
        ),
    ],
)
def test_a_file_that_is_something_else_is_refused_and_untouched(tmp_path, content, words):
    """A data file given by mistake, a journal of another tag or another server."""
    path = tmp_path / "j"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        keep(path, "one")
    assert path.read_bytes() == content


def test_what_is_no_file_is_refused(tmp_path):
    """A device would be read without end, a pipe would hold the producer."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/full")):
        with pytest.raises(UsageError, match="is not a resume file"):
            keep(path, "one")


def test_a_disk_that_is_full_is_told_with_the_name(tmp_path):
    """Also when what could not be written is tried again at the end."""
    with Journal(tmp_path / "j", ABOUT) as journal, Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), journal._file.fileno())
        with pytest.raises(UnreadableFile, match=r"j: No space left"):
            journal.note("one", 7)


def test_a_damaged_line_is_named(tmp_path):
    """A line that nobody wrote is not skipped in silence."""
    keep(tmp_path / "j", "one")
    with (tmp_path / "j").open("ab") as file:
        file.write(b"\0" * 40 + b"\n")
    with pytest.raises(UsageError, match="line 3: not a line of a resume file"):
        keep(tmp_path / "j", "two")


def test_a_journal_that_cannot_be_written_is_named(tmp_path):
    """A folder that is not there."""
    with pytest.raises(UsageError, match="nowhere/j: No such file or directory"):
        keep(tmp_path / "nowhere" / "j")


def test_one_producer_at_a_time_has_a_journal(tmp_path):
    """The second is told, instead of mixing its lines in."""
    with (
        Journal(tmp_path / "j", ABOUT),
        pytest.raises(UsageError, match="another producer is at work"),
    ):
        keep(tmp_path / "j", "one")


# files and lists --------------------------------------------------------------------------------


def test_a_file_is_another_one_once_it_was_written_again(tmp_path):
    """What tells files apart is place, path, size and time; bytes are told by their digest."""
    path = tmp_path / "beam"
    path.write_bytes(b"one")
    file = PayloadFile(path, "Beam", 1)
    first = file.mark()
    assert file.mark() == first != PayloadFile(path, "Beam", 2).mark()
    path.write_bytes(b"another")
    assert file.mark() != first
    path.unlink()
    with pytest.raises(UnreadableFile, match="beam: No such file"):
        file.mark()
    assert PayloadFile(b"x", "Beam", 1).mark() == PayloadFile(b"x", "Beam", (1, 0)).mark()


@pytest.mark.parametrize(("start", "end"), [(5, 5), (5, 4), ("x", None), (-1, None)])
def test_an_interval_that_is_none_is_refused_when_it_is_written(start, end):
    """Before a byte is read."""
    with pytest.raises(UsageError):
        PayloadFile(b"", "Beam", start, end)


def test_a_list_names_files_beside_it(tmp_path):
    """Columns in any order, empty cells left out."""
    (tmp_path / "a.json").write_text("{}")
    path = tmp_path / "runs.csv"
    path.write_text(
        "payload_type,start,file,end,name\nBeam,1200:17,a.json,,\nBeam,1300,a.json,1400,x\n"
    )
    source = tmp_path / "a.json"
    assert read_list(path) == (
        PayloadFile(source, "Beam", Moment(1200, 17)),
        PayloadFile(source, "Beam", Moment(1300), Moment(1400), "x"),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "runs.csv has no rows"),
        ("file,payload_type,begin\na.json,Beam,1\n", "line 2: begin: is no field"),
        ("file,type,start\na.json,Beam,1\n", "line 2: type: is no field; known: payload_type"),
        ("file,payload_type,start\na.json,Beam\n", "line 2: start: is missing"),
        ("file,payload_type,start\na.json,Beam,1,2\n", "line 2 has more fields"),
        ("file,payload_type,start\nb.json,Beam,1\n", "line 2: file: .*b.json is not there"),
        ("file,payload_type,start\na.json,Beam,soon\n", "line 2: start: 'soon' is not a moment"),
        ("file,payload_type,start,end\na.json,Beam,9,8\n", "line 2: end: 8 does not come after"),
        ("name,payload_type,start\na.json,Beam,9\n", "line 2: file: is missing"),
        ("file,payload_type,start,size\na.json,Beam,9,2\n", "line 2: size and revision"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(tmp_path, content, words):
    """Nothing is put of a list that cannot be read to its end."""
    (tmp_path / "a.json").write_text("{}")
    path = tmp_path / "runs.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=words):
        read_list(path)


# the way to a server ----------------------------------------------------------------------------


class Taking:
    """A server that takes every segment and remembers who asked for what."""

    def __init__(self):
        self.requests = []
        self.answers = []

    async def __call__(self, request):
        """Answer as told, else that it is stored."""
        await request.read()
        self.requests.append(request)
        status, headers = self.answers.pop(0) if self.answers else (201, {"X-Ledger-LSN": "5"})
        return web.Response(status=status, headers=headers, text="said")


@pytest.fixture
async def taking():
    """Run it; give it and its URL."""
    server = Taking()
    running = RawTestServer(server)
    await running.start_server()
    yield server, str(running.make_url("")).rstrip("/")
    await running.close()


def some(count):
    """Return segments."""
    return [Segment("H1:STRAIN", b"%d" % number, 1) for number in range(count)]


def nobody():
    """Return a URL where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def test_a_proxy_of_the_environment_is_used(taking, monkeypatch):
    """And one that NO_PROXY leaves out is not."""
    server, url = taking
    monkeypatch.setenv("http_proxy", url)
    await Producer("http://condstore.example:5000", period="", policy=QUICK).stream(some(2))
    assert server.requests[0].headers["Host"] == "condstore.example:5000"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("http_proxy", nobody())
    assert (await Producer(url, period="", policy=QUICK).stream(some(2))).segments == 2


async def test_a_name_and_password_of_netrc_are_sent(taking, monkeypatch, tmp_path):
    """As the synchronous client sends them."""
    server, url = taking
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login alice password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    await Producer(url, period="", policy=QUICK).stream(some(1))
    assert server.requests[0].headers["Authorization"].startswith("Basic ")


async def test_the_replica_that_answers_is_asked_first(taking):
    """A dead one costs one attempt, not one a segment."""
    server, url = taking
    report = await Producer((nobody(), url), in_flight=1, period="", policy=QUICK).stream(some(20))
    assert (report.segments, report.lsn, len(server.requests)) == (20, 5, 20)


async def test_when_no_replica_answers_the_error_says_how_many_were_asked():
    """And what the last one said, with what to do about it."""
    producer = Producer((nobody(), nobody()), period="", policy=QUICK)
    with pytest.raises(ServerAway, match=r"2 were asked.*Connection refused.*CONDSTORE_URL"):
        await producer.stream(some(1))


async def test_not_now_is_waited_for_and_no_is_final(taking):
    """503 with Retry-After, then stored; a redirect or a refusal ends it."""
    server, url = taking
    server.answers = [(503, {"Retry-After": "0"}), (429, {})]
    assert (await Producer(url, period="", policy=QUICK).stream(some(1))).segments == 1
    server.answers = [(302, {"Location": "/login"})]
    with pytest.raises(UnexpectedAnswer, match="answered 302"):
        await Producer(url, period="", policy=QUICK).stream(some(1))
    server.answers = [(503, {})] * 4
    with pytest.raises(ServerAway):
        await Producer(url, period="", policy=QUICK).stream(some(1))
    assert len(server.requests) == 3 + 1 + 4


async def test_segments_may_come_from_an_asynchronous_source(taking):
    """A detector that is read while it streams."""
    _, url = taking

    async def source():
        async for number in numbers(30):
            yield Segment("A", b"%d" % number, 1)

    assert (await Producer(url, period="", policy=QUICK).stream(source())).segments == 30


async def test_a_source_that_fails_ends_the_stream_with_its_own_error(taking):
    """What was drawn before is acknowledged and counted."""
    _, url = taking

    def source():
        yield from some(3)
        raise Frozen("the detector says so", status=409)

    producer = Producer(url, period="", policy=QUICK)
    with pytest.raises(Frozen, match="the detector says so"):
        await producer.stream(source())
    assert producer.report.segments == 3


@pytest.mark.parametrize("wrong", [{"in_flight": 0}, {"in_flight": 1001}, {"urls": "ftp://x"}])
def test_what_makes_no_sense_is_refused_at_once(wrong):
    """Naming the argument."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Producer(**{"urls": "http://x", **wrong})
