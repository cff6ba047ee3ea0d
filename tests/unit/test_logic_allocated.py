"""Counts that a disk has no room for are kept in memory, and nobody is killed by a hole."""

from __future__ import annotations

import errno
import os

from prometheus_client.mmap_dict import MmapedDict

from datastore_logic.web.allocated import Allocated

KEYS = [f"a counter with a long name and labels, number {number}" for number in range(3000)]


def count(counts):
    """Count all keys; return what is read back."""
    for number, key in enumerate(KEYS):
        counts.write_value(key, float(number), 0.0)
    return [counts.read_value(key)[0] for key in KEYS]


def blocks(path):
    """Say how many bytes of a file the disk has."""
    return path.stat().st_blocks * 512


def refuse(*_):
    """Have no room."""
    raise OSError(errno.ENOSPC, "No space left on device")


def test_there_is_no_hole_in_the_file(tmp_path):
    """Neither in a new one nor after it grew; others read it as prometheus_client's own."""
    path = tmp_path / "counter_0.db"
    counts = Allocated(str(path))
    assert blocks(path) >= path.stat().st_size > 0
    assert count(counts) == list(range(len(KEYS)))
    assert blocks(path) >= path.stat().st_size > 1 << 16
    counts.close()
    found = MmapedDict.read_all_values_from_file(str(path))
    assert {key: value for key, value, *_ in found} == dict(zip(KEYS, range(3000), strict=True))


def test_without_room_at_the_start_it_counts_in_memory(tmp_path, monkeypatch):
    """And leaves no empty file, which who gathers the counts would stumble over."""
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    counts = Allocated(str(tmp_path / "counter_0.db"))
    assert count(counts) == list(range(len(KEYS)))
    assert list(tmp_path.iterdir()) == []
    counts.close()


def test_without_room_to_grow_it_goes_on_in_memory(tmp_path, monkeypatch):
    """Nothing counted is lost to the process; what the file had stays readable."""
    path = tmp_path / "counter_0.db"
    counts = Allocated(str(path))
    counts.write_value("first", 7.0, 0.0)
    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert count(counts) == list(range(len(KEYS)))
    assert counts.read_value("first")[0] == 7.0
    counts.close()
    found = {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(path))}
    assert found["first"] == 7.0
