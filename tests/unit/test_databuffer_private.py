"""Directories of the volume that are the databuffer's alone."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from databuffer.config import Config
from databuffer.store.private import close_to_others


def mode(path):
    """Return the permissions of a path."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def lines(caplog):
    """Return the level and the message of every line that was logged."""
    caplog.set_level(logging.INFO)
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def made(path, permissions):
    """Make a directory with these permissions."""
    path.mkdir()
    path.chmod(permissions)
    return path


def test_open_directories_are_closed_with_one_line(tmp_path, lines):
    """Those of an older version lose what group and others may do, and nothing else."""
    ledger, state = made(tmp_path / "ledger", 0o755), made(tmp_path / "state", 0o2775)
    close_to_others([ledger, state, made(tmp_path / "blobs", 0o700)])
    assert (mode(ledger), mode(state)) == (0o700, 0o2700)
    assert lines() == [("INFO", f"closed to all but their owner: {ledger}, {state}")]


def test_closed_directories_are_not_talked_about(tmp_path, lines):
    """A start on a volume that is as it should be says nothing."""
    close_to_others([made(tmp_path / "ledger", 0o700)])
    assert lines() == []


def test_what_cannot_be_closed_is_warned_of_once(tmp_path, lines):
    """Here /proc refuses chmod also to the owner and to root, as some network file systems do."""
    refusing = Path(f"/proc/{os.getpid()}")
    assert refusing.stat().st_uid == os.geteuid()
    with pytest.raises(PermissionError):
        refusing.chmod(0o500)
    closed = made(tmp_path / "ledger", 0o755)
    close_to_others([refusing, closed, refusing / "task"])
    assert mode(closed) == 0o700
    (_, said), (level, warned) = lines()
    assert said.endswith(f": {closed}")
    assert level == "WARNING"
    assert f"look into {refusing}, {refusing}/task, and" in warned


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory to somebody else")
def test_a_directory_of_another_user_keeps_its_rights(tmp_path, lines):
    """Whoever writes it by its group would lock themselves out, were they not its owner."""
    foreign = made(tmp_path / "ledger", 0o2770)
    os.chown(foreign, 65534, -1)
    close_to_others([foreign])
    assert mode(foreign) == 0o2770
    assert [level for level, _ in lines()] == ["WARNING"]


def test_a_directory_with_what_others_read_is_not_private(tmp_path):
    """A configuration may put data/, adm/, log/ or the archives inside of one of them."""
    config = Config.from_environ({"VOLUME_ROOT": str(tmp_path)})
    assert config.private == [tmp_path / name for name in ("ledger", "state", "blobs")]
    for name in ("DATAROOT", "ADMROOT", "LOGROOT", "DTVOLROOT"):
        told = {"VOLUME_ROOT": str(tmp_path), "BLOBROOT": str(tmp_path / "blobs")}
        config = Config.from_environ({**told, name: str(tmp_path / "x/../ledger/inside")})
        assert config.private == [tmp_path / "state", tmp_path / "blobs"]
