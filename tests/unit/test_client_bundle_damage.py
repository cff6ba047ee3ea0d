"""A bundle with one changed byte: refused by its name, or every answer is what it was."""

import hashlib
import os
import sqlite3

import pytest
from long import at_length
from told_tag import ToldTag, iov

from condstore import bundle
from condstore.bundle import Bundle
from condstore.bundle import format as layout
from condstore.errors import DamagedBundle, NotFound, UsageError
from condstore.moments import Moment


@pytest.fixture
def told():
    """Return a tag with two types, a gap, and payloads of which one is kept elsewhere."""
    told = ToldTag({})
    first, second = told.keep(b"first"), told.keep(b"second")
    rows = {
        "Beam": [iov("Beam", 1, 2, digest=first, size=5), iov("Beam", 4, digest=second)],
        "Field": [iov("Field", 2, 9, checksum="md5:1", revision=3)],
    }
    return ToldTag(rows, told.payloads)


@pytest.fixture
def path(told, tmp_path, monkeypatch):
    """Pull a bundle of small pages, so that little of it is unused."""
    monkeypatch.setattr(layout, "PAGE_SIZE", 512)
    bundle.pull(told, told.ref, tmp_path / "prompt.bundle")
    return tmp_path / "prompt.bundle"


def answers(path, told, small):
    """Return everything that a bundle answers."""
    found = Bundle(path, small=small)
    try:
        payloads = []
        for digest in told.payloads:
            with found.pieces(digest) as pieces:
                payloads.append(b"".join(pieces))
        resolved = found.resolve_many(told.ref, [Moment(run, 1) for run in (0, 1, 3, 9)], [])
        listed = [[*found.iovs(told.ref, kind, None, None)] for kind in told.lists]
        return found.tag(told.ref), payloads, resolved, listed
    finally:
        found.close()


def changed(path, at, bits):
    """Change a byte of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bits]))


def asked_of_changed(path, told, expected, at, bits):
    """Change a byte; say how the bundle is refused, "" if all answers are what they were."""
    changed(path, at, bits)
    try:
        assert answers(path, told, 0) == expected, at
    except (DamagedBundle, UsageError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        changed(path, at, bits)
    return ""


@pytest.mark.parametrize(("bits", "step"), [(0x01, at_length(4, 1)), (0x80, 7)])
def test_every_byte_is_looked_after_where_a_bundle_is_too_large_to_be_hashed(
    path, told, bits, step
):
    """At each position: named as damaged, or nothing that is answered is different."""
    expected, size = answers(path, told, 0), path.stat().st_size
    found = {at: asked_of_changed(path, told, expected, at, bits) for at in range(0, size, step)}
    refused = {at: words for at, words in found.items() if words}
    assert all(str(path) in words for words in refused.values())
    else_ = [at for at, words in refused.items() if not words.startswith("DamagedBundle")]
    assert all(at < 100 or at > size - layout.TRAILER_SIZE for at in else_)  # SQLite's header
    assert len(refused) > len(found) / 4
    assert answers(path, told, 0) == expected


def test_any_changed_byte_of_a_small_bundle_is_refused_when_it_is_opened(path):
    """Used or not; and `verify` refuses it whatever its size."""
    size = path.stat().st_size
    for at in {*range(0, size, 37), size - 1}:
        changed(path, at, 0x10)
        for look in (Bundle, bundle.verify, bundle.describe):
            with pytest.raises((DamagedBundle, UsageError), match=path.name) as refused:
                look(path)
            assert isinstance(refused.value, DamagedBundle) or at >= size - layout.TRAILER_SIZE
        changed(path, at, 0x10)
    bundle.verify(path)


def test_a_bundle_that_was_not_copied_whole_is_refused(path):
    """Whether a byte is missing or half of it."""
    whole = path.read_bytes()
    for left in (len(whole) - 1, len(whole) // 2, 20):
        path.write_bytes(whole[:left])
        with pytest.raises(DamagedBundle, match="was it copied whole"):
            Bundle(path)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="no condstore bundle"):
        Bundle(path)


def test_a_damaged_bundle_is_not_taken_for_the_one_that_is_wanted(path, told):
    """Pulled again it is refused; with `force` it is written anew."""
    changed(path, path.stat().st_size // 2, 1)
    with pytest.raises(DamagedBundle, match=path.name):
        bundle.pull(told, told.ref, path)
    assert bundle.pull(told, told.ref, path, force=True).new
    bundle.verify(path)


FORGED = "UPDATE iov SET name = 'forged' WHERE name = 'Beam-1:0'"
CALLED_STREAMED = """INSERT INTO segment SELECT list, start_major, start_major, start_minor,
end_major, end_minor, name, checksum, digest FROM iov WHERE name IS NOT NULL"""


def forged(path, *statements):
    """Change rows, and make all seals anew."""
    path.write_bytes(path.read_bytes()[: -layout.TRAILER_SIZE])
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    for part, *row in connection.execute(f"SELECT slice, {layout.ROW} FROM iov").fetchall():  # noqa: S608
        connection.execute(
            "UPDATE iov SET seal = ? WHERE (slice, list, start_major, start_minor) = (?, ?, ?, ?)",
            (layout.seal(row), part, *row[:3]),
        )
    connection.commit()
    connection.close()
    content = path.read_bytes()
    path.write_bytes(content + layout.trailer(hashlib.sha256(content).hexdigest()))


def test_a_forged_bundle_does_not_give_the_fingerprint(path):
    """Who makes all seals anew is found by `verify`, which computes the fingerprint."""
    forged(path, FORGED)
    Bundle(path).close()
    with pytest.raises(DamagedBundle, match="do not give the fingerprint of prompt@"):
        bundle.verify(path)


@pytest.mark.parametrize(
    "change",
    [
        FORGED,
        "UPDATE iov SET name = 'Beam-4:0' WHERE name = 'Beam-1:0'",
        "UPDATE iov SET end_major = start_major, name = NULL WHERE name = 'Field-2:0'",
    ],
)
def test_who_calls_the_rows_that_were_segments_cannot_alter_what_is_answered(path, change):
    """What a list of segments proves is what is answered, not what might have been."""
    forged(path, CALLED_STREAMED, change)
    Bundle(path).close()
    with pytest.raises(DamagedBundle, match=r"no segment of that|nowhere answered"):
        bundle.verify(path)


def test_many_rows_are_looked_after_as_well(tmp_path):
    """Rows of several slices, on pages that point to pages: changed here and there."""
    told = ToldTag(
        {
            "Beam": [iov("Beam", run, run + 1) for run in range(0, 900, 2)],
            "Slow": [iov("Slow", 1, 450), iov("Slow", 460)],
        }
    )
    path = tmp_path / "many"
    bundle.pull(told, told.ref, path)
    expected, places = answers(path, told, 0), range(0, path.stat().st_size, 251)
    found = [asked_of_changed(path, told, expected, at, 0x04) for at in places]
    assert sum(map(bool, found)) > len(found) / 4


def test_a_payload_that_never_was_there_is_not_found(path, told):
    """While one that was there and is no more is damage, as above."""
    found = Bundle(path)
    with pytest.raises(NotFound), found.pieces(told.keep(b"new")):
        pass
    found.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_jobs_share_a_bundle(path, told):
    """Each opens it anew for itself."""
    found = Bundle(path)
    children = []
    for run in range(4):
        child = os.fork()
        if child == 0:
            same = found.resolve(told.ref, Moment(run), None) == told.resolve(Moment(run))
            os._exit(0 if same else 1)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0, 0]
    found.close()
