"""Compressed segments: the same pages, every flipped byte found, nothing lost wherever it ends."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from long import at_length
from opened import with_ledger as with_ledger_of

from databuffer.errors import BadFrame, DamagedLedger, InProgress, Stopping, VolumeFull
from databuffer.store import frames, segments
from databuffer.store.protocols import NewEntry

SMALL = 5000


def with_ledger(root, work, segment_bytes=SMALL):
    """Open a ledger of several segments, do the work, close it."""
    return with_ledger_of(root, work, segment_bytes)


async def fill(ledger, count=60, size=30):
    """Append entries with keys; return the lines."""
    choose = Random(7)  # noqa: S311 - the same each time
    for number in range(count):
        data = json.dumps({"n": number, "text": "é" * size, "x": choose.random()}).encode()
        await ledger.append(NewEntry("t.x", "a", data, (f"k/{number % 2}",), {}, f"id{number}"))
    return await lines_of(ledger)


async def lines_of(ledger):
    """Read every line from the files, page by page."""
    ledger._tail.__init__(0)
    found, after = [], 0
    while (page := await ledger.read(after, 7)).lines:
        found += page.lines.splitlines(keepends=True)
        after = page.last
    return found


async def filled(ledger):
    """Fill a ledger, compress it and return its lines."""
    lines = await fill(ledger)
    await ledger.compress()
    return lines


def ledger_files(root):
    """Return the files that make a ledger, by name."""
    paths = [path for path in root.iterdir() if path.name.startswith(("0", "ledger", ".tmp"))]
    return {path.name: path.read_bytes() for path in paths}


class Example(NamedTuple):
    """The lines of a small ledger, and its files before and after it was compressed."""

    lines: list[bytes]
    plain: dict[str, bytes]
    compressed: dict[str, bytes]


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """Make an example."""
    root = tmp_path_factory.mktemp("example")
    lines = asyncio.run(with_ledger(root, fill))
    plain = ledger_files(root)
    asyncio.run(with_ledger(root, lambda ledger: ledger.compress()))
    return Example(lines, plain, ledger_files(root))


def laid_out(root, files):
    """Put files into a directory."""
    for name, raw in files.items():
        (root / name).write_bytes(raw)
    return root


# The form --------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=50).filter(lambda line: b"\n" not in line), min_size=1))
def test_lines_come_out_of_frames_as_they_went_in(lines):
    """Whatever they hold, also carriage returns and nothing at all."""
    content = [line + b"\n" for line in lines]
    with tempfile.TemporaryFile() as file:
        file.write(b"".join(frames.pack(bundle) for bundle in frames.bundled(content)))
        file.seek(0)
        assert b"".join(frames.contents(file)) == b"".join(content)


def test_a_frame_is_about_a_mebibyte_and_a_longer_line_has_its_own():
    """So that a page unpacks little, and no line is cut."""
    line, long = b"x" * 999 + b"\n", b"y" * (3 << 20) + b"\n"
    bundles = list(frames.bundled([line] * 3000 + [long] + [line]))
    assert [long] in bundles
    assert max(sum(map(len, bundle)) for bundle in bundles if long not in bundle) <= 1 << 20
    assert [len(bundle) for bundle in bundles] == [1048, 1048, 904, 1, 1]
    assert list(itertools.chain(*bundles)) == [line] * 3000 + [long] + [line]


@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="there is no zstdcat")
def test_zstdcat_prints_a_compressed_segment(tmp_path, example):
    """Plain zstd reads it, without any of our code."""
    laid_out(tmp_path, example.compressed)
    paths = sorted(tmp_path.glob("*.zst"))
    printed = subprocess.run(["zstdcat", *paths], capture_output=True, check=True).stdout
    (last,) = tmp_path.glob("*.jsonl")
    assert (printed + last.read_bytes()).splitlines(keepends=True) == example.lines


async def test_pages_are_the_same_before_and_after_and_after_a_restart(tmp_path):
    """Wherever they begin and end; the manifest is of format 2 from then on."""

    async def pages(ledger):
        asked = [(after, limit) for after in (0, 1, 17, 30, 58) for limit in (1, 9, 100)]
        ledger._tail.__init__(0)
        return [await ledger.read(*each) for each in asked]

    async def compress(ledger):
        await fill(ledger)
        assert json.loads((tmp_path / "ledger.json").read_bytes())["format"] == 1
        before = await pages(ledger)
        done = await ledger.compress()
        assert done.segments >= 2
        assert done.bytes_after < done.bytes_before
        assert done.bytes_after == sum(path.stat().st_size for path in tmp_path.glob("*.zst"))
        assert await pages(ledger) == before
        assert (await ledger.compress()).segments == 0
        return before

    before = await with_ledger(tmp_path, compress)
    manifest = json.loads((tmp_path / "ledger.json").read_bytes())
    assert manifest["format"] == 2
    assert sum(name.endswith(".jsonl") for name in manifest["segments"]) == 1
    assert await with_ledger(tmp_path, pages) == before


async def test_a_page_unpacks_only_the_frames_it_takes_from(tmp_path, monkeypatch):
    """Not from the beginning of the segment."""
    unpacked = []
    plain = frames._content
    monkeypatch.setattr(frames, "_content", lambda raw: unpacked.append(1) or plain(raw))

    async def far(ledger):
        lines = await fill(ledger, 80, 60_000)
        await ledger.compress()
        unpacked.clear()
        assert (await ledger.read(60, 1)).lines == lines[60]
        return len(unpacked)

    assert await with_ledger(tmp_path, far, 8 << 20) == 1


async def test_lines_of_megabytes_are_had_back(tmp_path):
    """One frame each; the ledger goes on behind them, also when it is opened anew."""

    async def work(ledger):
        if ledger.head().lsn == 0:
            for size in (5 << 20, 1, 3 << 20, 1):
                data = json.dumps({"text": "x" * size}).encode()
                await ledger.append(NewEntry("t.x", "a", data))
            before = await lines_of(ledger)
            await ledger.compress()
            assert await lines_of(ledger) == before
        return await lines_of(ledger)

    assert await with_ledger(tmp_path, work, 4 << 20) == await with_ledger(tmp_path, work, 4 << 20)


# Meanwhile -------------------------------------------------------------------------------------


async def test_appends_and_readers_go_on_meanwhile(tmp_path):
    """Every page that anybody reads is the ledger's, and every entry is there once."""

    async def work(ledger):
        lines, done = await fill(ledger, 200), asyncio.Event()

        async def follow():
            while not done.is_set():
                assert (await lines_of(ledger))[:200] == lines

        async def append():
            number = 0
            while not done.is_set():
                number += 1
                await ledger.append(NewEntry("t.y", "a", b'{"n":%d}' % number))
            return number

        tasks = [asyncio.create_task(each) for each in (follow(), follow(), append())]
        compressed = 0
        while compressed < 12:
            compressed += (await ledger.compress()).segments
        done.set()
        *_, appended = await asyncio.gather(*tasks)
        grown = await lines_of(ledger)
        assert len(grown) == 200 + appended
        return grown

    assert await with_ledger(tmp_path, work) == await with_ledger(tmp_path, lines_of)


@pytest.mark.parametrize("opened", [False, True], ids=["about to open it", "has it open"])
async def test_a_reader_whose_file_is_exchanged_gets_its_page(tmp_path, monkeypatch, opened):
    """From the other file, or from the one that has no name any more."""
    reached, go_on = threading.Event(), threading.Event()
    where, name = (segments, "lines_of") if opened else (segments.Segment, "read")

    def paused(call):
        def wrapped(*asked):
            reached.set()
            assert go_on.wait(20)
            return call(*asked)

        return wrapped

    async def work(ledger):
        lines = await fill(ledger)
        ledger._tail.__init__(0)
        monkeypatch.setattr(where, name, paused(getattr(where, name)))
        reader = asyncio.create_task(ledger.read(2, 5))
        await asyncio.to_thread(reached.wait, 20)
        assert (await ledger.compress()).segments
        go_on.set()
        assert (await reader).lines == b"".join(lines[2:7])

    await with_ledger(tmp_path, work)


async def test_one_at_a_time(tmp_path):
    """A second call meanwhile is refused, and the first is not disturbed."""

    async def work(ledger):
        await fill(ledger)
        outcomes = await asyncio.gather(
            ledger.compress(), ledger.compress(), return_exceptions=True
        )
        assert [type(each).__name__ for each in outcomes] == ["Compressed", "InProgress"]
        assert isinstance(outcomes[1], InProgress)

    await with_ledger(tmp_path, work)


async def test_a_caller_who_leaves_does_not_end_it(tmp_path):
    """What was begun is finished; and closing waits for it."""

    async def work(ledger):
        await fill(ledger)
        caller = asyncio.create_task(ledger.compress())
        await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
        with pytest.raises(InProgress):
            await ledger.compress()

    await with_ledger(tmp_path, work)
    assert len(await with_ledger(tmp_path, lines_of)) == 60


async def test_stopping_ends_it_between_frames(tmp_path, example):
    """A stop does not wait for gigabytes; the segment in hand stays as it is."""
    laid_out(tmp_path, example.plain)

    async def work(ledger):
        ledger.release()
        with pytest.raises(Stopping):
            await ledger.compress()

    await with_ledger(tmp_path, work)
    assert ledger_files(tmp_path) == example.plain


# Killed, full, damaged -------------------------------------------------------------------------


class Steps:
    """What changes the disk, call by call: `before` is called before each."""

    CALLS = ("open", "write", "fsync", "fdatasync", "link", "replace", "unlink")

    def __init__(self, monkeypatch, before):
        self._before = before
        for name in self.CALLS:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name, call):
        def watched(*args, **told):
            if name != "open" or args[1] & (os.O_WRONLY | os.O_RDWR):
                self._before(name)
            return call(*args, **told)

        return watched


async def test_killed_before_any_step_it_restarts_with_every_line(tmp_path, monkeypatch, example):
    """By itself, with one file a segment and nothing else, and it goes on and compresses."""
    (root := tmp_path / "ledger").mkdir()
    laid_out(root, example.plain)
    left = []

    async def compress(ledger):
        with monkeypatch.context() as patched:
            Steps(patched, lambda name: left.append((name, ledger_files(root))))
            await ledger.compress()

    await with_ledger(root, compress)
    assert {name for name, _ in left} == set(Steps.CALLS)
    assert len(left) > 30
    states = list({tuple(sorted(files.items())): files for _, files in left}.values())
    assert len(states) > 3 * len(example.compressed)

    async def look(ledger):
        assert await lines_of(ledger) == example.lines
        assert (await ledger.append(NewEntry("t.y", "a", b"{}"))).lsn == 61
        await ledger.compress()
        assert (await lines_of(ledger))[:60] == example.lines

    for number, files in enumerate(states):
        (again := tmp_path / str(number)).mkdir()
        await with_ledger(laid_out(again, files), look)
        names = sorted(name for name in ledger_files(again) if name.startswith("0"))
        assert len({name[:20] for name in names}) == len(names), names
        assert not [name for name in ledger_files(again) if name.startswith(".tmp")]


@pytest.mark.parametrize("step", range(0, 14, 2))
async def test_a_full_volume_is_said_and_changes_nothing(tmp_path, monkeypatch, example, step):
    """Wherever the room ends; what is done before stays done, and later it goes on."""
    laid_out(tmp_path, example.plain)
    counted = itertools.count()

    def refuse(name):
        if name in {"open", "write", "link", "replace"} and next(counted) >= step:
            raise OSError(errno.ENOSPC, "No space left on device")

    async def work(ledger):
        with monkeypatch.context() as patched:
            Steps(patched, refuse)
            with pytest.raises(VolumeFull):
                await ledger.compress()
        listed = json.loads((tmp_path / "ledger.json").read_bytes())["segments"]
        names = {name if "." in name else f"{name}.jsonl" for name in listed}
        assert {name for name in ledger_files(tmp_path) if name.startswith("0")} == names
        assert not list(tmp_path.glob(".tmp*"))
        assert await lines_of(ledger) == example.lines
        await ledger.append(NewEntry("t.y", "a", b"{}"))
        await ledger.compress()
        assert (await lines_of(ledger))[:60] == example.lines

    await with_ledger(tmp_path, work)


@settings(max_examples=at_length(60, 5000), deadline=None)
@given(st.data())
def test_a_flipped_bit_anywhere_is_refused_naming_segment_and_lsn(example, data):
    """In every frame, also where zstd would not notice; and nothing is changed."""
    files = example.compressed
    name = data.draw(st.sampled_from(sorted(name for name in files if name.endswith(".zst"))))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    changed = bytearray(files[name])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    with tempfile.TemporaryDirectory() as folder:
        root = laid_out(Path(folder), {**files, name: bytes(changed)})
        with pytest.raises(DamagedLedger) as refused:
            asyncio.run(with_ledger(root, lines_of))
        assert (refused.value.segment, refused.value.lsn) == (name, int(name[:20]))
        assert (root / name).read_bytes() == changed


async def test_a_damaged_frame_names_the_lsn_that_it_begins_with(tmp_path):
    """Of several in a segment; all lines before it are good."""

    async def several_frames(ledger):
        for number in range(40):
            data = json.dumps({"n": number, "text": "x" * 60_000}).encode()
            await ledger.append(NewEntry("t.x", "a", data))
        await ledger.compress()

    await with_ledger(tmp_path, several_frames, 2 << 20)
    path = min(tmp_path.glob("*.zst"))
    raw = bytearray(path.read_bytes())
    begun = [found.start() for found in re.finditer(re.escape(b"\x50\x2a\x4d\x18"), raw)]
    assert len(begun) == 3
    for at, lsn in zip(begun, (1, 18, 35), strict=True):
        for byte in (at, at + 5, at + 9, at + 13, at + 16, at + 20, at + 60):
            raw[byte] ^= 0xFF
            path.write_bytes(raw)
            with pytest.raises(DamagedLedger) as refused:
                await with_ledger(tmp_path, lines_of)
            assert (refused.value.segment, refused.value.lsn) == (path.name, lsn)
            raw[byte] ^= 0xFF
    path.write_bytes(raw[:-1])
    with pytest.raises(DamagedLedger, match=path.name):
        await with_ledger(tmp_path, lines_of)
    path.write_bytes(raw)
    assert len(await with_ledger(tmp_path, lines_of)) == 40


async def test_a_frame_that_is_damaged_while_it_is_served_is_an_error_not_a_page(tmp_path):
    """Whoever reads there is told; the rest is served."""

    async def work(ledger):
        lines = await filled(ledger)
        path = sorted(tmp_path.glob("*.zst"))[1]
        raw = bytearray(path.read_bytes())
        raw[-10] ^= 1
        path.write_bytes(raw)
        with pytest.raises(BadFrame, match=path.name):
            await ledger.read(int(path.name[:20]), 1)
        assert (await ledger.read(0, 1)).lines == lines[0]

    await with_ledger(tmp_path, work)


# What a copy may look like ---------------------------------------------------------------------


@pytest.mark.parametrize("listed", ["plain", "compressed"])
async def test_of_two_files_the_listed_one_holds_and_without_it_the_other(
    tmp_path, example, listed
):
    """In a copy that was taken file by file while the ledger was compressed."""
    lines, plain, compressed = example
    manifest = (plain if listed == "plain" else compressed)["ledger.json"]
    others = compressed if listed == "plain" else plain
    (both := tmp_path / "both").mkdir()
    (other := tmp_path / "other").mkdir()
    laid_out(both, {**plain, **compressed, "ledger.json": manifest})
    laid_out(other, {**others, "ledger.json": manifest})
    for root in (both, other):
        assert await with_ledger(root, lines_of) == lines
    assert ledger_files(both) == (plain if listed == "plain" else compressed)
    assert ledger_files(other) == others


async def test_a_ledger_that_ends_in_a_compressed_segment_begins_another(tmp_path, example):
    """As after a restore that kept only sealed ones."""
    lines, _, files = example
    last = max(name for name in files if name.endswith(".jsonl"))
    told = json.loads(files["ledger.json"])
    told["segments"].remove(last)
    kept = int(last[:20]) - 1
    laid_out(tmp_path, {**files, "ledger.json": json.dumps(told).encode()})
    (tmp_path / last).unlink()

    async def work(ledger):
        assert await lines_of(ledger) == lines[:kept]
        return (await ledger.append(NewEntry("t.y", "a", b"{}"))).lsn

    assert await with_ledger(tmp_path, work) == kept + 1
    assert (tmp_path / last).stat().st_size > 0


@pytest.mark.parametrize(
    "told",
    [
        {"format": 3, "ledger": "0" * 32, "segments": []},
        {"format": 2, "ledger": "0" * 32, "segments": ["../../etc/passwd"]},
        {"format": 2, "ledger": "0" * 32, "segments": ["00000000000000000001"]},
        {"format": 1, "ledger": "0" * 32, "segments": ["00000000000000000001.jsonl"]},
        {"format": 2, "ledger": "0" * 32, "segments": [1]},
        {"format": 2, "ledger": "0" * 32},
        [],
    ],
)
async def test_a_manifest_that_is_none_is_refused(tmp_path, example, told):
    """Of an unknown format, or with names that no segment has."""
    laid_out(tmp_path, {**example.compressed, "ledger.json": json.dumps(told).encode()})
    with pytest.raises(DamagedLedger, match=r"ledger\.json"):
        await with_ledger(tmp_path, lines_of)
