"""Compressed segments: the databuffer and the client each write them, and read the other's."""

import pytest

from condstore.backup.segments import SegmentFile, lines_of
from databuffer.store import frames

LINES = [b"first", b"x" * 5000, b"y" * (2 << 20), *(b"%d" % number for number in range(300_000))]


@pytest.fixture(params=["client", "databuffer"])
def segment(request, tmp_path):
    """Return the file of a segment with these lines, as one of the two writes it."""
    path = tmp_path / f"{1:020d}.jsonl.zst"
    if request.param == "databuffer":
        bundles = frames.bundled(line + b"\n" for line in LINES)
        path.write_bytes(b"".join(map(frames.pack, bundles)))
        return path
    file = SegmentFile(tmp_path, 1)
    for line in LINES:
        file.add(line)
    assert file.sealed().name == path.name
    return path


def test_each_reads_what_the_other_wrote(segment):
    """Line for line, and in several frames of whole lines."""
    with segment.open("rb") as file:
        contents = list(frames.contents(file))
    assert len(contents) > 2
    assert b"".join(contents) == b"\n".join([*LINES, b""])
    assert list(lines_of(segment.read_bytes())) == LINES


@pytest.mark.parametrize("at", [0, 4, 8, 12, 40, -1])
def test_both_refuse_a_changed_byte(segment, at):
    """In what stands before a frame, in the frame, at its end."""
    raw = bytearray(segment.read_bytes())
    raw[at] ^= 1
    with pytest.raises(ValueError, match=r"frame|cut"):
        list(lines_of(bytes(raw)))
    segment.write_bytes(raw)
    with segment.open("rb") as file, pytest.raises(frames.BadFrame):
        list(frames.contents(file))
