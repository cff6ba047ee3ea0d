"""A volume that is not as it was left: a start mends what may be mended, or refuses."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from functools import partial

import pytest
from load import ask
from servers import databuffer, databuffer_at
from volume_oracle import LedgerReader, VolumeOracle, snapshot

SMALL_SEGMENTS = {"LEDGER_SEGMENT_BYTES": "4096"}
SEGMENT = json.dumps({"h": [1e-21, -2e-21, 3e-21], "t": [968654552, 0.5]}).encode()


def append(url, **data):
    """Append a note to the ledger and return its LSN."""
    entry = {"type": "test.note", "actor": "test", "data": data, "keys": ["test/any"]}
    answer = ask("POST", f"{url}/ledger", entry)
    assert answer.status == 201, answer
    return answer.lsn


def stream(url, count=1):
    """Stream segments into the buffer."""
    for _ in range(count):
        assert ask("POST", f"{url}/sendF", SEGMENT).status == 201


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A volume after a clean stop: ledger segments, a cleaned and a current buffer, state."""
    folder = tmp_path_factory.mktemp("left")
    with databuffer(folder, **SMALL_SEGMENTS) as running:
        stream(running.url, 3)
        ask("POST", f"{running.url}/upddsc", {"user": "alice", "token": "secret"})
        ask("POST", f"{running.url}/cleanall")
        stream(running.url, 4)
        ask("PUT", f"{running.url}/state/pointer", {"at": 1})
        ask("POST", f"{running.url}/blobs", b"a payload")
        for number in range(40):
            append(running.url, number=number, pad="pad" * 60)
        assert running.stop() == 0
    folder = folder / "volume"
    VolumeOracle(folder).check()
    assert len(segments(folder)) >= 4
    assert len(lines(segments(folder)[-1])) >= 2
    return folder


@pytest.fixture
def volume(left, tmp_path):
    """Return a copy of that volume, to be damaged."""
    return shutil.copytree(left, tmp_path / "volume")


def segments(volume):
    """Return the ledger's segment files in order."""
    return sorted((volume / "ledger").glob("*.jsonl"))


def lines(segment):
    """Return a segment's lines, newlines kept."""
    return segment.read_bytes().splitlines(keepends=True)


def lsn_of(line):
    """Return the LSN of a line."""
    return json.loads(line)["lsn"]


def run(tmp_path):
    """Start a databuffer on the volume in a folder."""
    return databuffer(tmp_path, **SMALL_SEGMENTS)


# A torn end is cut off -------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [1, 2, 20, 0.5, -30, -19, -18, -2, -1])
def test_a_torn_last_line_is_cut_off_and_all_before_it_serves(volume, tmp_path, kept):
    """Wherever the last line is torn, it is cut off and logged, and what went before is served."""
    last = segments(volume)[-1]
    *whole, torn = lines(last)
    kept = int(len(torn) * kept) if isinstance(kept, float) else kept
    last.write_bytes(b"".join(whole) + torn[:kept])
    with run(tmp_path) as running:
        assert last.read_bytes() == b"".join(whole)
        head = ask("GET", f"{running.url}/ledger/head").json["lsn"]
        assert head == lsn_of(torn) - 1
        assert re.search(rf"cut .* LSN {head}\b", running.log.read_text())
        assert append(running.url, after="the tear") == head + 1
        VolumeOracle(volume).check()


def test_a_segment_with_only_a_torn_line_is_emptied_and_goes_on(volume, tmp_path):
    """The first line after a rotation may be torn as any other."""
    last = segments(volume)[-1]
    first, *_ = lines(last)
    last.write_bytes(first[:-10])
    with run(tmp_path) as running:
        assert re.search(rf"cut .* LSN {lsn_of(first) - 1}\b", running.log.read_text())
        assert append(running.url, after="the tear") == lsn_of(first)
        VolumeOracle(volume).check()


def test_a_torn_only_line_of_the_first_segment_leaves_an_empty_ledger(tmp_path):
    """A ledger whose very first line is torn begins anew at LSN 1, under its old id."""
    with run(tmp_path) as running:
        append(running.url, number=1)
        before = ask("GET", f"{running.url}/ledger/head").json
        running.kill()
        (segment,) = segments(tmp_path / "volume")
        segment.write_bytes(segment.read_bytes()[:-1])
        running.restart()
        after = ask("GET", f"{running.url}/ledger/head").json
        assert after == {"ledger": before["ledger"], "lsn": 0, "hash": "0" * 64}
        assert append(running.url, number=2) == 1


def test_a_segment_made_but_not_yet_listed_is_adopted(volume, tmp_path):
    """A kill between making the next segment and listing it in ledger.json loses nothing."""
    made = segments(volume)[-1]
    index = volume / "ledger/ledger.json"
    listed = json.loads(index.read_bytes())
    assert listed["segments"].pop().startswith(made.stem)
    index.write_text(json.dumps(listed))
    head = lsn_of(lines(made)[-1])
    with run(tmp_path) as running:
        assert ask("GET", f"{running.url}/ledger/head").json["lsn"] == head
        assert append(running.url, after="adoption") == head + 1
        VolumeOracle(volume).check()


def test_an_empty_segment_made_but_not_yet_listed_is_adopted(volume, tmp_path):
    """A kill just after making the next segment, before its first line, loses nothing."""
    head = lsn_of(lines(segments(volume)[-1])[-1])
    (volume / f"ledger/{head + 1:020}.jsonl").touch()
    with run(tmp_path) as running:
        assert append(running.url, after="adoption") == head + 1
        VolumeOracle(volume).check()


def test_a_repeated_key_and_a_condition_hold_after_the_derived_index_is_gone(tmp_path):
    """Nothing but the ledger is needed to know idempotency keys and what touched a key last."""
    first = {"type": "t.x", "actor": "a", "data": {}, "keys": ["k"], "idempotency_key": "once"}
    with run(tmp_path) as running:
        told = ask("POST", f"{running.url}/ledger", first)
        assert told.status == 201
        assert running.stop() == 0
        for path in (tmp_path / "volume/ledger").glob("index*"):
            path.write_bytes(b"nonsense")
        running.restart()
        again = ask("POST", f"{running.url}/ledger", first)
        assert (again.status, again.body, again.lsn) == (201, told.body, 1)
        second = {**first, "expect": {"k": 0}, "idempotency_key": "twice"}
        refused = ask("POST", f"{running.url}/ledger", second)
        assert refused.status == 412
        assert refused.json["moved"] == {"k": 1}


# Damage is refused -----------------------------------------------------------------------------


def flipped(which, line, at, volume):
    """Flip one bit of a line; return where."""
    segment = segments(volume)[which]
    found = lines(segment)
    raw = bytearray(found[line])
    raw[at] ^= 0x04
    where = segment.name, lsn_of(found[line])
    found[line] = bytes(raw)
    segment.write_bytes(b"".join(found))
    return where


def swapped(volume):
    """Swap two lines of an old segment."""
    segment = segments(volume)[1]
    first, second, *rest = lines(segment)
    segment.write_bytes(b"".join([second, first, *rest]))
    return segment.name, lsn_of(first)


def doubled(volume):
    """Write a line of an old segment twice."""
    segment = segments(volume)[1]
    first, *rest = lines(segment)
    segment.write_bytes(b"".join([first, first, *rest]))
    return segment.name, lsn_of(rest[0])


def left_out(volume):
    """Take a line out of an old segment."""
    segment = segments(volume)[1]
    first, second, *rest = lines(segment)
    segment.write_bytes(b"".join([first, *rest]))
    return segment.name, lsn_of(second)


def torn_inside(volume):
    """Tear the last line of a segment that is not the last."""
    segment = segments(volume)[1]
    *_, last = lines(segment)
    segment.write_bytes(segment.read_bytes()[:-5])
    return segment.name, lsn_of(last)


def shortened(volume):
    """Take the last line of a segment that is not the last: the next one starts too late."""
    segment, following = segments(volume)[1:3]
    *rest, last = lines(segment)
    segment.write_bytes(b"".join(rest))
    return following.name, lsn_of(last)


def zeroed(volume):
    """Let a block of an old segment read as zeros, as a lost page does."""
    segment = segments(volume)[1]
    raw = bytearray(segment.read_bytes())
    first, second, *_ = lines(segment)
    raw[len(first) : len(first) + len(second)] = bytes(len(second))
    segment.write_bytes(bytes(raw))
    return segment.name, lsn_of(second)


def zeros_at_the_end(volume):
    """Let the last line read as zeros and a newline."""
    segment = segments(volume)[-1]
    *rest, last = lines(segment)
    segment.write_bytes(b"".join(rest) + bytes(len(last) - 1) + b"\n")
    return segment.name, lsn_of(last)


def rewritten(volume):
    """Change a line and mend its own checksum: only the chain can tell."""
    segment = segments(volume)[1]
    first, second, *rest = lines(segment)
    _, _, other, *_ = lines(segments(volume)[2])
    forged = json.loads(other)
    forged["lsn"] = lsn_of(second)
    head = json.dumps({k: v for k, v in forged.items() if k != "crc"}, separators=(",", ":"))[:-1]
    line = f'{head},"crc":"{zlib.crc32(head.encode()):08x}"}}\n'.encode()
    segment.write_bytes(b"".join([first, line, *rest]))
    return segment.name, lsn_of(second)


def missing(which, volume):
    """Remove a whole segment."""
    segment = segments(volume)[which]
    segment.unlink()
    return segment.stem, int(segment.stem)


DAMAGE = {
    "a flipped bit in the first line of all": partial(flipped, 0, 0, 30),
    "a flipped bit in an old segment": partial(flipped, 1, 2, 150),
    "a flipped bit in an old checksum": partial(flipped, 1, 2, -4),
    "a flipped newline in an old segment": partial(flipped, 1, 2, -1),
    "a flipped bit in the open segment's last line": partial(flipped, -1, -1, 150),
    "a flipped bit in the open segment's first line": partial(flipped, -1, 0, 150),
    "a flipped newline at the very end": partial(flipped, -1, -1, -1),
    "two lines swapped": swapped,
    "a line twice": doubled,
    "a line left out": left_out,
    "an old segment torn": torn_inside,
    "an old segment too short": shortened,
    "a lost page": zeroed,
    "zeros at the end": zeros_at_the_end,
    "a forged line": rewritten,
    "the first segment missing": partial(missing, 0),
    "a middle segment missing": partial(missing, 2),
    "the last segment missing": partial(missing, -1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_ledger_is_refused_and_left_as_it_is(volume, tmp_path, damage):
    """The one line says which segment and LSN; nothing on the volume is touched."""
    segment, lsn = damage(volume)
    before = snapshot(volume)
    status, printed = databuffer_at(tmp_path, **SMALL_SEGMENTS).refusal()
    assert status != 0
    assert len(printed) == 1, printed
    assert printed[0].startswith("databuffer: cannot start: ")
    assert segment in printed[0]
    assert re.search(rf"\bLSN {lsn}\b", printed[0]), printed[0]
    assert snapshot(volume) == before


# Everything derived is repaired ----------------------------------------------------------------


def remove_file(volume):
    """Remove a segment's file."""
    next((volume / "data").glob("gwb*")).unlink()


def alter_file(volume):
    """Change a byte of a segment's file."""
    path = next((volume / "data").glob("gwb*"))
    path.write_bytes(path.read_bytes().replace(b"9", b"8", 1))


def lengthen_file(volume):
    """Append to a segment's file."""
    with next((volume / "data").glob("gwb*")).open("ab") as file:
        file.write(b" ")


def empty_file(volume):
    """Leave an empty file, as a lost page after a power cut does."""
    next((volume / "data").glob("gwb*")).write_bytes(b"")


def truncate_log(volume):
    """Tear the log."""
    path = volume / "log/LogStream.json"
    path.write_bytes(path.read_bytes()[:-40])


def lengthen_log(volume):
    """Write a line twice."""
    path = volume / "log/LogStream.json"
    path.write_bytes(path.read_bytes() + lines(path)[0])


def garble(name, volume):
    """Put nonsense in an administrative file."""
    (volume / name).write_bytes(b"\x00{")


def write(name, content, volume):
    """Put well-formed but wrong content in an administrative file."""
    (volume / name).write_text(json.dumps(content))


def remove(name, volume):
    """Remove a file or a whole directory."""
    path = volume / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


DERIVED = {
    "a file removed": remove_file,
    "a file altered": alter_file,
    "a file too long": lengthen_file,
    "a file emptied": empty_file,
    "the log torn": truncate_log,
    "the log too long": lengthen_log,
    "the log gone": partial(remove, "log"),
    "the counters wrong": partial(write, "adm/StatDesc.json", {"n_itm": 999, "buff_size": 1}),
    "the counters garbled": partial(garble, "adm/StatDesc.json"),
    "the counters gone": partial(remove, "adm/StatDesc.json"),
    "the state wrong": partial(
        write, "adm/Dsstat.json", {"dstatus": "FROZEN", "user": "eve", "token": "x"}
    ),
    "the state garbled": partial(garble, "adm/Dsstat.json"),
    "the administration gone": partial(remove, "adm"),
    "all files gone": partial(remove, "data"),
}


@pytest.mark.parametrize("harm", DERIVED.values(), ids=DERIVED.keys())
def test_what_is_derived_is_repaired_from_the_ledger_at_start(volume, tmp_path, harm):
    """Files, log, counters and state follow the ledger again, and the buffer goes on from there."""
    harm(volume)
    with run(tmp_path) as running:
        oracle = VolumeOracle(volume)
        oracle.check()
        stat = ask("GET", f"{running.url}/stat").json
        assert stat == {"n_itm": 4, "buff_size": oracle.buffer.size}
        assert ask("GET", f"{running.url}/dstat").json["dstatus"] == "OPERATIONAL"
        stream(running.url)
        assert ask("GET", f"{running.url}/stat").json["n_itm"] == 5
        assert running.stop() == 0
        oracle.check()


def test_stray_temporary_files_are_swept_at_start(volume, tmp_path):
    """What a killed upload left is removed, wherever it lies."""
    for name in ("blobs", "data", "adm", "log", "ledger", "state"):
        (volume / name / ".tmp-0123456789abcdef").write_bytes(b"half a fi")
    with run(tmp_path):
        VolumeOracle(volume).check()


def test_foreign_files_in_data_are_left_alone_and_not_listed(volume, tmp_path):
    """Other pods mount data/: what they put there is theirs, and is no segment."""
    foreign = {"notes.txt": b"by hand", "gwbother.json": b"{}", "gwb12.json": b"{}"}
    for name, content in foreign.items():
        (volume / "data" / name).write_bytes(content)
    (volume / "data/folder").mkdir()
    with run(tmp_path) as running:
        assert not set(foreign) & set(ask("GET", f"{running.url}/dumpF").json["nmlist"])
        assert ask("GET", f"{running.url}/stat").json["n_itm"] == 4
        for name, content in foreign.items():
            assert (volume / "data" / name).read_bytes() == content
        assert (volume / "data/folder").is_dir()


# /cleanall is finished at start ----------------------------------------------------------------


@pytest.fixture(scope="module")
def cleaning(tmp_path_factory):
    """The volume just before and just after a /cleanall of a frozen buffer."""
    folder = tmp_path_factory.mktemp("cleaning")
    with run(folder) as running:
        stream(running.url, 5)
        ask("POST", f"{running.url}/upddsc", {"user": "alice", "token": "secret"})
        assert running.stop() == 0
        before = shutil.copytree(folder / "volume", folder / "before")
        running.restart()
        assert ask("POST", f"{running.url}/cleanall").status == 201
        assert running.stop() == 0
    archive = LedgerReader(folder / "volume/ledger").catch_up()[-1]["data"]["archive"]
    return before, folder / "volume", archive


def committed(tmp_path, cleaning):
    """Return the volume with the cleaning in the ledger, and nothing of it done."""
    before, after, archive = cleaning
    volume = shutil.copytree(before, tmp_path / "volume")
    shutil.rmtree(volume / "ledger")
    shutil.copytree(after / "ledger", volume / "ledger")
    return volume, after, volume / archive


def nothing_done(volume, _after, _archive):
    """The entry is durable, nothing else has happened."""
    assert len(list((volume / "data").iterdir())) == 5


def log_laid_beside(volume, after, archive):
    """The log lies with the files it tells of, which are still in data/."""
    shutil.copy(after / archive.name / "LogStream.json", volume / "data")


def data_renamed(volume, after, archive):
    """Data is archived, the new data/ is not there yet."""
    log_laid_beside(volume, after, archive)
    (volume / "data").rename(archive)


def data_made(volume, after, archive):
    """Data is archived and a new data/ made; log, counters and state are the old ones."""
    data_renamed(volume, after, archive)
    (volume / "data").mkdir()


def archive_made(volume, _after, archive):
    """The archive is there and empty, the files still in data/."""
    archive.mkdir()


def half_the_files_moved(volume, _after, archive):
    """Some files lie in the archive, the rest still in data/."""
    archive.mkdir()
    for path in sorted((volume / "data").iterdir())[::2]:
        path.rename(archive / path.name)


def files_copied(volume, _after, archive):
    """The files lie in both places."""
    shutil.copytree(volume / "data", archive)


def log_emptied(volume, after, archive):
    """Counters and state are the old ones."""
    data_made(volume, after, archive)
    (volume / "log/LogStream.json").write_bytes(b"")


def log_removed(volume, after, archive):
    """There is no log, counters and state are the old ones."""
    data_made(volume, after, archive)
    (volume / "log/LogStream.json").unlink()


def counters_reset(volume, after, archive):
    """Only the state still says frozen."""
    log_emptied(volume, after, archive)
    shutil.copy(after / "adm/StatDesc.json", volume / "adm/StatDesc.json")


def state_reset(volume, after, archive):
    """The state was reset before the counters."""
    log_emptied(volume, after, archive)
    shutil.copy(after / "adm/Dsstat.json", volume / "adm/Dsstat.json")


def all_but_the_log(volume, after, archive):
    """Everything was reset, and the old log still stands."""
    data_made(volume, after, archive)
    shutil.rmtree(volume / "adm")
    shutil.copytree(after / "adm", volume / "adm")


STEPS = [
    nothing_done,
    log_laid_beside,
    data_renamed,
    data_made,
    archive_made,
    half_the_files_moved,
    files_copied,
    log_emptied,
    log_removed,
    counters_reset,
    state_reset,
    all_but_the_log,
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_cleaning_cut_short_is_finished_at_start(cleaning, tmp_path, step):
    """Between whichever steps it was killed, the archive is complete and the buffer empty, once."""
    volume, after, archive = committed(tmp_path, cleaning)
    step(volume, after, archive)
    with run(tmp_path) as running:
        VolumeOracle(volume).check()
        assert ask("GET", f"{running.url}/stat").json == {"n_itm": 0, "buff_size": 0}
        assert ask("GET", f"{running.url}/dstat").json["dstatus"] == "OPERATIONAL"
        stream(running.url)
        assert ask("GET", f"{running.url}/stat").json["n_itm"] == 1
        running.kill()
        running.restart()
        VolumeOracle(volume).check()


def test_a_segment_committed_after_an_unfinished_cleaning_is_not_archived(cleaning, tmp_path):
    """Killed after the next segment's entry, before its file: it belongs in data/."""
    volume, _, _ = committed(tmp_path, cleaning)
    with run(tmp_path) as running:
        stream(running.url)
        running.stop()
    before, _, archive = cleaning
    shutil.rmtree(volume / archive)
    shutil.rmtree(volume / "data")
    shutil.copytree(before / "data", volume / "data")
    with run(tmp_path) as running:
        VolumeOracle(volume).check()
        assert ask("GET", f"{running.url}/stat").json["n_itm"] == 1
