"""Bundles and caches from the command line: the same answers without a server."""

import json

import command
import pytest
import servers

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def condstore(tmp_path_factory):
    """Run both servers with one frozen tag; return the command in a folder with its bundle."""
    folder, here = tmp_path_factory.mktemp("tiers"), tmp_path_factory.mktemp("here")
    with (
        servers.databuffer(folder) as buffer,
        servers.logic(buffer.url, folder, workers=1) as logic,
    ):
        run = command.Command(logic.url, f"{buffer.url}/", here)
        for number in (1, 2, 3):
            (here / f"beam-{number}.json").write_text(json.dumps({"n": number}))
        run("tag", "create", "prompt")
        for number, start, end in ((1, "100", "200"), (2, "200", "300"), (3, "400", "500")):
            words = ("iov", "insert", "prompt", "Beam", start, "--end", end)
            run(*words, "--file", f"beam-{number}.json")
        run("tag", "freeze", "prompt", "--yes")
        run("pull", "prompt")
        yield run


@pytest.fixture
def alone(condstore, tmp_path):
    """Return the command where no server answers, and the bundle."""
    run = command.Command(NOBODY, NOBODY, tmp_path)
    return run, str(condstore.folder / "prompt.cdb")


@pytest.mark.parametrize(
    "words",
    [
        ("tag", "list"),
        ("tag", "show", "prompt"),
        ("iov", "list", "prompt", "Beam"),
        ("iov", "list", "prompt", "Beam", "--begin", "150", "--end", "250"),
        ("iov", "list", "prompt", "Beam", "--plot"),
        ("resolve", "prompt", "250"),
        ("resolve", "prompt", "250", "--type", "Beam"),
    ],
    ids=" ".join,
)
def test_a_bundle_says_what_the_servers_say(condstore, alone, words):
    """Word for word, with no server on the network."""
    run, bundle = alone
    assert run(*words, "--offline", bundle) == condstore(*words)


def test_a_gap_is_a_gap_offline_too(condstore, alone):
    """Exit status 1 and no payload, as online."""
    run, bundle = alone
    said = condstore("resolve", "prompt", "350", expect=1)
    assert run("resolve", "prompt", "350", "--offline", bundle, expect=1) == said


def test_a_bundle_never_changes(alone):
    """There is nothing to watch."""
    run, bundle = alone
    status, said = run.shell(f"condstore resolve prompt 250 --watch --offline {bundle}")
    assert status == 0
    assert "never changes" in said


def test_a_payload_comes_out_of_a_bundle(alone):
    """Verified, under its name."""
    run, bundle = alone
    run("get", "prompt", "450", "--offline", bundle, "-o", "beam.json")
    assert json.loads((run.folder / "beam.json").read_text()) == {"n": 3}


def test_pulling_again_changes_nothing_and_another_file_is_left_alone(condstore):
    """The same bundle is sound; a file of something else is replaced with --force only."""
    assert "was there already" in condstore("pull", "prompt")
    other = condstore.folder / "other.cdb"
    condstore("pull", "prompt", "--begin", "150", "--end", "250", "-o", "other.cdb")
    before = other.read_bytes()
    said = condstore("pull", "prompt", "-o", "other.cdb", expect=2)
    assert "--force" in said
    assert other.read_bytes() == before
    condstore("pull", "prompt", "-o", "other.cdb", "--force")


def test_a_pull_at_a_terminal_shows_how_far_it_is(condstore):
    """What is read, then what is downloaded; the result is a line of its own."""
    status, said = condstore.typed("condstore pull prompt -o terminal.cdb")
    assert status == 0, said
    shown = command.plain(said)
    assert "pulling" in shown
    assert "payload IOVs" in shown
    assert "its fingerprint is proven" in shown.splitlines()[-1]


def test_payloads_may_lie_beside_or_nowhere(condstore):
    """`verify` reads them where they are."""
    condstore("pull", "prompt", "--payloads-beside", "blobs", "-o", "beside.cdb")
    said = condstore("verify", "beside.cdb", "--payloads-beside", "blobs")
    assert "3 payloads hashed" in said
    condstore("pull", "prompt", "--no-payloads", "-o", "none.cdb")
    assert "0 payloads hashed" in condstore("verify", "none.cdb")


def test_a_changed_byte_is_named(condstore, tmp_path):
    """One line, exit status 1, in `verify` and wherever the bundle is asked."""
    content = bytearray((condstore.folder / "prompt.cdb").read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.cdb"
    damaged.write_bytes(content)
    said = condstore("verify", str(damaged), expect=1)
    assert "damaged.cdb" in said
    assert said.count("\n") == 1


def test_what_is_no_bundle_or_not_there_is_said(alone):
    """In one line, with the file's name."""
    run, bundle = alone
    for words in (("verify", "nofile.cdb"), ("resolve", "prompt", "1", "--offline", "nofile.cdb")):
        said = run(*words, expect=2)
        assert "nofile.cdb" in said
        assert said.count("\n") == 1
    both = ("tag", "list", "--offline", bundle, "--url", NOBODY)
    assert "give one of them" in run(*both, expect=2)


def test_a_cache_serves_what_was_asked_before(condstore, tmp_path):
    """--cache or CONDSTORE_CACHE: a frozen tag's answers and payloads without the server."""
    shelf = str(tmp_path / "shelf")
    frozen = condstore.json("tag", "show", "prompt")["tag"]
    ref = f"prompt@{frozen['fingerprint']}"
    condstore("get", ref, "450", "--cache", shelf, "-o", "first.json")
    away = command.Command(NOBODY, NOBODY, tmp_path, CONDSTORE_CACHE=shelf)
    away("get", ref, "450", "-o", "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == {"n": 3}
