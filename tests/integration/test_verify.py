"""`condstore verify --payloads` sees what is on the disk of a databuffer, not in its memory."""

from __future__ import annotations

import os

import pytest
from backup_store import LARGE, Store, databuffer_here
from load import ask

from condstore.verify import verify
from databuffer.web import bulk


@pytest.fixture
def store(tmp_path):
    """Run a databuffer."""
    with databuffer_here(tmp_path) as running:
        made = Store(running)
        yield made
        made.http.clear()


def on_disk(folder):
    """Return the files of payloads by their content."""
    found = (path for path in folder.glob("volume/blobs/sha256/*/*/*"))
    return {path.read_bytes(): path for path in found}


def test_a_payload_in_memory_is_hashed_as_it_is_on_the_disk(store, tmp_path):
    """The databuffer goes on giving what it read before the disk lost or changed it."""
    large = os.urandom(LARGE)
    for content in (b"sound", b"flipped", b"cut", b"gone", large):
        store.put(content)
    paths = on_disk(tmp_path)
    for content, path in paths.items():
        assert ask("GET", f"{store.url}/blobs/sha256/{path.name}").body == content
        path.chmod(0o644)
    assert verify(store.url, payloads=True).problems == ()
    paths[b"flipped"].write_bytes(b"fLipped")
    paths[b"cut"].write_bytes(b"cu")
    paths[b"gone"].unlink()
    paths[large].write_bytes(large[:-1] + bytes([large[-1] ^ 1]))
    told = []
    report = verify(store.url, payloads=True, tell=lambda *now: told.append(now))
    assert told[-1] == ("payloads", 5, 5)
    assert [(one.lsn, *one.what.split()[2:5]) for one in report.problems] == [
        (2, "is", "damaged:", "its"),
        (3, "has", "2", "bytes,"),
        (4, "is", "missing"),
        (5, "is", "damaged:", "its"),
    ]


def test_an_older_databuffer_is_asked_for_one_at_a_time(tmp_path, monkeypatch):
    """One that does not know the route for many."""
    monkeypatch.setattr(bulk.routes, "_items", [])
    with databuffer_here(tmp_path) as running:
        store = Store(running)
        for content in (b"sound", b"flipped"):
            store.put(content)
        assert ask("POST", f"{store.url}/blobs/read", {"digests": []}).status in {404, 405}
        path = on_disk(tmp_path)[b"flipped"]
        path.chmod(0o644)
        path.write_bytes(b"fLipped")
        (found,) = verify(store.url, payloads=True).problems
        assert "is damaged" in found.what
        store.http.clear()
