"""What a download is written with: the mode of any new file, and nobody else's changed for it."""

import os
import stat

import pytest

from condstore import landing
from condstore.bundle.writing import unnamed
from condstore.digests import Digest


@pytest.fixture
def mask(monkeypatch):
    """Set a mask that is not the usual one; who reads it by setting it fails."""
    before = os.umask(0o027)
    with monkeypatch.context() as guarded:
        guarded.setattr(os, "umask", lambda _: pytest.fail("the mask is all threads'"))
        yield
    os.umask(before)


@pytest.mark.usefixtures("mask")
def test_a_download_gets_the_mode_of_any_new_file(tmp_path):
    """Group may read, others may not, as the mask says."""
    target = tmp_path / "payload"
    landing.land([b"by", b"tes"], Digest.of(b"bytes"), target, bool)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("mask")
def test_so_does_a_bundle(tmp_path):
    """And nothing else is left beside it."""
    target = tmp_path / "tag.cdb"
    with unnamed(target, force=False) as part:
        part.write_bytes(b"what a bundle has")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [target]
