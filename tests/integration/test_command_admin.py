"""`condstore admin` at a terminal and in a script: words, bars, exit status, questions."""

from __future__ import annotations

import os
import re

import pytest
from backup_store import Store
from command import Command, plain
from servers import TIER_SECRET, bearer, databuffer


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Run a databuffer that wants the tiers' secret, with a payload that an entry names."""
    folder, here = tmp_path_factory.mktemp("tier"), tmp_path_factory.mktemp("here")
    with databuffer(folder, BUFFER_TOKEN=TIER_SECRET) as running:
        store = Store(running, bearer())
        store.put(b"named")
        command = Command("http://127.0.0.1:9", running.url, here, NO_COLOR="1")
        command.environ["BUFFER_TOKEN"] = TIER_SECRET
        yield command, store


def test_a_wrong_secret_is_said_to_be_one(world, monkeypatch):
    """Not that the server is away, nor a traceback; nothing is begun."""
    command, _ = world
    for secret, advice in (("", "set BUFFER_TOKEN or BUFFER_TOKEN_FILE"), ("x" * 40, "look at")):
        monkeypatch.setitem(command.environ, "BUFFER_TOKEN", secret)
        for words in (("backup", "secret"), ("compact",)):
            said = command("admin", *words, expect=1)
            assert advice in said
            assert len(said.splitlines()) == 1
    assert not (command.folder / "secret").exists()


def test_no_databuffer_is_exit_status_3(world):
    """Another service there, as the logic tier, is told from none."""
    command, _ = world
    said = command("admin", "backup", "away", "--url", "http://127.0.0.1:9", expect=3)
    assert "DB_BURL" in said


def test_a_backup_says_what_is_new_and_a_restore_what_to_do(world):
    """One or two lines for each; as JSON one document."""
    command, store = world
    store.put(b"also named")
    said = command("admin", "backup", "backup").splitlines()
    assert re.fullmatch(r"backup holds ledger \w{8} up to LSN \d+: \d payloads \(\d+ B\)", said[0])
    told = command.json("admin", "backup", "backup")
    assert (told["entries"], told["blobs"], told["record"]["blobs"]) == (0, 0, len(store.payloads))
    assert (
        command("admin", "backup", "backup").splitlines()[1] == "nothing new since the last backup"
    )
    assert command.json("admin", "verify", "backup")["problems"] == []
    done = command("admin", "restore", "backup", "volume", "--lsn", "1")
    assert "entries of the backup left out" in done or "entry of the backup left out" in done
    assert [line[:4] for line in done.splitlines() if re.match(r"  \d\.", line)] == [
        f"  {step}." for step in range(1, 7)
    ]
    assert "empty or a new directory" in command("admin", "restore", "backup", "volume", expect=1)
    for words in (("--lsn", "1", "--time", "2026-01-01"), ("--time", "soon"), ("--lsn", "0")):
        command("admin", "restore", "backup", "no", *words, expect=2)


def test_a_damaged_backup_is_repaired_or_restored_in_part(world):
    """What verify says last is what to run; each command names what is left, and ends with 1."""
    command, store = world
    store.put(b"to be damaged")
    command("admin", "backup", "harmed")
    path = next(
        path
        for path in (command.folder / "harmed" / "blobs").rglob("*")
        if path.is_file() and path.read_bytes() == b"to be damaged"
    )
    path.write_bytes(b"to be dAmaged")
    last = command("admin", "verify", "harmed", expect=1).splitlines()[-1]
    mend = "condstore admin backup harmed --repair"
    assert last == f"to fetch it again, while the store is well: {mend}"
    assert "--leave-damaged" in command("admin", "restore", "harmed", "none", expect=1)
    said = command("admin", "restore", "harmed", "most", "--leave-damaged", expect=1)
    assert f"payload sha256:{path.name} is damaged in the backup" in said
    assert "condstore put FILE" in said.splitlines()[-2]
    lines = command(*mend.split()[1:]).splitlines()
    assert lines[1:] == ["nothing new since the last backup", "repaired: 1 payload (13 B)"]
    told = command.json(*mend.split()[1:])
    assert (told["taken"]["blobs"], told["repaired"]["payloads"]) == (0, 0)
    command("admin", "verify", "harmed")
    command("admin", "restore", "harmed", "all", "--leave-damaged")
    (command.folder / "harmed" / "backup.json").write_text("{}")
    for words in (("verify", "harmed"), ("backup", "harmed")):
        said = command("admin", *words, expect=1)
        assert "backup.json is damaged" in said
        assert f"`{mend}` makes it again" in said
    assert command(*mend.split()[1:]).splitlines()[-1] == "repaired: backup.json"
    command("admin", "verify", "harmed")


def test_a_terminal_is_shown_how_far_it_is(world):
    """With bars that are gone when it is done."""
    command, store = world
    store.put(b"for a terminal")
    status, said = command.typed("condstore admin backup shown")
    assert status == 0, said
    assert "backing up" in said
    assert plain(said).splitlines()[-1].endswith("are new")
    status, said = command.typed("condstore admin verify shown")
    assert (status, "verifying" in said) == (0, True), said


def test_what_nobody_names_is_removed_after_a_question(world):
    """A script says --yes; who types something else, or asks for nothing, keeps them."""
    command, store = world
    digest = store.ask("POST", "/blobs", b"named by nobody")["digest"]
    for path in (store.running.log.parent / "volume" / "blobs").rglob(
        digest.removeprefix("sha256:")
    ):
        os.utime(path, (0, 0))
    found = command.json("admin", "compact", "--dry-run")
    assert found["compressed"] is None
    assert (found["payloads"]["unreferenced"], found["payloads"]["removed"]) == (1, 0)
    last = command("admin", "compact").splitlines()[-1]
    assert last == "to remove them: condstore admin compact --remove-unreferenced --older-than 7d"
    remove = ("admin", "compact", "--remove-unreferenced", "--older-than", "12h")
    command(*remove, expect=2)
    status, said = command.typed(f"condstore {' '.join(remove)}", "no")
    assert (status, "nothing was done" in said) == (1, True), said
    status, said = command.typed(f"condstore {' '.join(remove)}", "remove")
    assert status == 0
    assert "1 payload (15 B) removed" in said
    assert "no payload has been unreferenced for 12h" in command(*remove, "--yes")
    said = command("admin", "compact", "--older-than", "soon", expect=2)
    assert said.strip() == "condstore: 'soon' is not a time: 90d, 12h or 30m"


def test_verify_without_a_directory_is_of_the_store(world):
    """As `condstore verify`; a backup takes no options of a server."""
    command, store = world
    assert f"{len(store.payloads)} payloads" in command("admin", "verify", "--payloads")
    command("admin", "verify", "backup", "--payloads", expect=2)
