"""`iov insert` in a real tag: what --dry-run foresees happens, and many come in one act."""

import contextlib
import itertools
import json
import random

import command
import pytest
import servers

from condstore.client import Client
from condstore.commands import inserting
from condstore.errors import NotFound
from condstore.moments import Moment
from condstore.results import NewIOV
from condstore.rows import Entry


@pytest.fixture(scope="module")
def tier(tmp_path_factory):
    """Run both servers for this module."""
    folder = tmp_path_factory.mktemp("insert")
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(buffer.url, folder, workers=1) as logic,
    ):
        yield logic


@pytest.fixture
def condstore(tier, tmp_path):
    """Return the command, in a folder of its own."""
    return command.Command(tier.url, tier.environ["DB_BURL"], tmp_path)


def drawn(choose):
    """Return some entries for two payload types, half of them without an end."""
    entries = []
    for _ in range(choose.randint(1, 5)):
        start = choose.randrange(60)
        end = start + choose.randint(1, 20) if choose.random() < 0.5 else None
        iov = NewIOV(
            choose.choice(("Beam", "Field")), Moment(start, choose.randrange(2)),
            None if end is None else Moment(end + 1), f"p{choose.randrange(4)}",
        )  # fmt: skip
        entries.append(Entry(iov))
    return entries


def timeline(client, tag, payload_type):
    """Return [(start, end, name)] of a list, nothing if there is none."""
    with contextlib.suppress(NotFound):
        return [(iov.start, iov.end, iov.name) for iov in client.iovs(tag, payload_type)]
    return []


def foreseen_timeline(before, plan):
    """Return the timeline that a plan leads to."""
    gone = {one.iov.start for one in plan.affected}
    pieces = [row for row in before if row[0] not in gone]
    pieces += [(s.start, s.end, one.iov.name) for one in plan.affected for s in one.kept]
    pieces += [(piece.start, piece.end, piece.name) for piece in plan.inserted]
    return sorted(pieces, key=lambda row: row[0])


def gaps(rows):
    """Return the gaps of a timeline."""
    pairs = itertools.pairwise(rows)
    return [(a[1], b[0]) for a, b in pairs if a[1] is not None and a[1] < b[0]]


def test_what_a_dry_run_foresees_is_what_the_insert_does(tier):
    """Sixty inserts into one tag: each timeline, each gap beside what is new, nothing changed."""
    choose, client = random.Random(4), Client(tier.url)  # noqa: S311 - not a secret
    client.create_tag("foreseen")
    for _ in range(60):
        entries = drawn(choose)
        kinds = {entry.iov.payload_type for entry in entries}
        before = {kind: timeline(client, "foreseen", kind) for kind in kinds}
        lsn = client.tag("foreseen").tag.lsn
        foreseen = inserting.foresee(client, "foreseen", entries)
        assert client.tag("foreseen").tag.lsn == lsn
        client.insert_iovs("foreseen", [entry.iov for entry in entries])
        for plan in foreseen.plans:
            after = timeline(client, "foreseen", plan.payload_type)
            assert foreseen_timeline(before[plan.payload_type], plan) == after
            told = [(gap.start, gap.end) for gap in plan.gaps]
            assert set(told) <= set(gaps(after))
            new = {row[:2] for row in after if row not in before[plan.payload_type]}
            beside = {
                gap for gap in gaps(after)
                if any(gap[1] == start or gap[0] == end for start, end in new)
            }  # fmt: skip
            assert beside <= set(told)


def test_a_dry_run_says_what_the_store_lacks_and_stores_nothing(condstore):
    """A digest that nobody put would be refused; a file would be stored first."""
    condstore("tag", "create", "lacking")
    nobody = "sha256:" + "0" * 64
    said = condstore(
        "iov", "insert", "lacking", "Beam", "1", "--digest", nobody, "--dry-run", expect=1
    )
    assert f"the store lacks {nobody}" in said
    (condstore.folder / "new.json").write_text('{"fresh": 1}')
    condstore("iov", "insert", "lacking", "Beam", "1", "--file", "new.json", "--dry-run")
    assert "would send" in condstore("put", "new.json", "--dry-run")


def test_many_files_are_stored_and_inserted_in_one_act(condstore):
    """A list with files: the payloads first, then all the IOVs or none."""
    condstore("tag", "create", "many")
    for number in range(12):
        (condstore.folder / f"beam-{number}.json").write_text(f'{{"n":{number}}}')
    rows = "start,file\n" + "".join(f"{100 * n},beam-{n}.json\n" for n in range(12))
    (condstore.folder / "rows.csv").write_text(rows)
    done = condstore.json("iov", "insert", "many", "Beam", "--from", "rows.csv")
    assert done["inserted"] == 12
    assert len(condstore.json("tag", "log", "many")) == 2
    condstore("get", "many", "750", "-o", "back.json")
    assert json.loads((condstore.folder / "back.json").read_text()) == {"n": 7}


def test_a_row_the_server_refuses_is_named_as_it_was_written(condstore):
    """Its line in the file, not its place in the request."""
    condstore("tag", "create", "refusing")
    rows = "payload_type,start,name\nBeam,1,a\nBad/Type,2,b\n"
    said = condstore("iov", "insert", "refusing", "--from", "-", stdin=rows, expect=1)
    assert "standard input line 3: payload_type" in said
    assert condstore.json("tag", "show", "refusing")["payload_lists"] == []


def test_a_mistyped_type_is_seen_and_taken_out_again(condstore):
    """The insert says that the type is new; detaching it leaves no gap in every later answer."""
    condstore("tag", "create", "typos")
    condstore("iov", "insert", "typos", "Beam", "1", "--name", "b")
    said = condstore("iov", "insert", "typos", "Baem", "1", "--name", "b", "--dry-run")
    assert "new payload type: Baem" in said
    assert "new payload type: Baem" in condstore(
        "iov", "insert", "typos", "Baem", "1", "--name", "b"
    )
    wrong = condstore("tag", "detach", "typos", "Bema", "--yes", expect=2)
    assert "it has Baem, Beam" in wrong
    condstore("tag", "detach", "typos", "Baem", "--yes")
    assert "gap" not in condstore("resolve", "typos", "5")
    condstore("tag", "lock", "typos")
    assert "refused" in condstore("tag", "detach", "typos", "Beam", "--dry-run", expect=1)
