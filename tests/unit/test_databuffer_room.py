"""The reserve of a volume: what is written is reckoned with before the file system shows it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from databuffer.errors import VolumeFull
from databuffer.store import room
from databuffer.store.room import Room

BLOCK = 4096


class Volume:
    """A file system of a million bytes, as `statvfs` tells of it; counts who asks."""

    def __init__(self):
        self.free, self.asked = 500_000, 0

    def statvfs(self, _path):
        """Tell how full it is."""
        self.asked += 1
        return SimpleNamespace(f_bavail=self.free, f_blocks=1_000_000, f_frsize=1)


@pytest.fixture
def volume(monkeypatch):
    """The only file system."""
    found = Volume()
    monkeypatch.setattr(os, "statvfs", found.statvfs)
    return found


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(room.time, "monotonic", lambda: now.seconds)
    return now


def test_what_would_take_of_the_reserve_is_refused(volume, tmp_path):
    """To the byte, and what was refused leaves the room it found."""
    some = Room(tmp_path, 40_000)
    with pytest.raises(VolumeFull, match="VOLUME_RESERVE_BYTES"):
        some.require(460_001)
    some.require(460_000)


def test_a_refusal_says_what_is_free_and_what_is_needed(volume, tmp_path):
    """Some room that is too little is not called none."""
    some = Room(tmp_path, 40_000)
    with pytest.raises(VolumeFull) as few:
        some.require(460_001)
    assert str(few.value) == (
        "460000 bytes are free on the volume beside its reserve (VOLUME_RESERVE_BYTES), "
        "at least 460001 are needed"
    )
    volume.free = 40_000
    with pytest.raises(VolumeFull, match="the volume is full up to its reserve"):
        Room(tmp_path, 40_000).require(1)


def test_the_reserve_is_at_most_a_twentieth(volume, tmp_path):
    """So that the default leaves something of a small disk."""
    assert Room(tmp_path, 1 << 28).measure().reserve == 50_000
    assert Room(tmp_path, 10_000).measure().reserve == 10_000


def test_none_is_none(volume, tmp_path):
    """Without a reserve nobody is asked: the file system refuses when it is full."""
    volume.free = 0
    some = Room(tmp_path, 0)
    with some.taking(10):
        assert some.ample
    assert volume.asked == 0


def test_many_at_once_stop_where_one_would(volume, tmp_path, clock):
    """What others are about to write counts, also before the file system knows of it."""
    some = Room(tmp_path, 50_000)
    with some.taking(200_000), some.taking(200_000):
        clock.seconds += 10
        with pytest.raises(VolumeFull):
            some.require(50_001)
        some.require(50_000)


def test_the_file_system_is_asked_ten_times_a_second(volume, tmp_path, clock):
    """Not at every write, as long as there is room."""
    some = Room(tmp_path, 50_000)
    for _ in range(100):
        some.require(10)
        clock.seconds += 0.01
    assert 9 <= volume.asked <= 11


def test_a_shortage_is_never_told_from_memory(volume, tmp_path, clock):
    """The moment there is room again, writes go on."""
    some = Room(tmp_path, 50_000)
    volume.free = 1000
    with pytest.raises(VolumeFull):
        some.require(1)
    assert not some.ample
    volume.free = 500_000
    some.require(1)
    assert some.ample


def test_a_file_system_that_does_not_say_its_size_has_room():
    """As some that are not on a disk: they refuse by themselves."""
    somewhere = Room(Path("/proc"), 1)
    somewhere.require(1 << 30)
    assert somewhere.ample
    assert not somewhere.measure().short
