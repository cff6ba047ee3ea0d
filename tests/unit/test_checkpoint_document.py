"""What names a checkpoint may be written by anybody; what it unpacks to is bounded."""

import hashlib
import io
import secrets

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from long import at_length
from zstandard import ZstdCompressor

from datastore_logic.domain.tags import Digest
from datastore_logic.view.checkpoint import Checkpoint, Unfit
from datastore_logic.view.packing import CHUNK, packed, unpack

DIGEST = "sha256:" + "ab" * 32
SOUND = Checkpoint(
    ledger="2f9fea6c600b81a7876d9191bc775ee9", lsn=17, hash="0" * 64, schema=9,
    stream_tag="stream", digest=Digest(DIGEST), size=100, unpacked=1000,
    time="2026-11-21T18:36:38.076036Z",
)  # fmt: skip
TOLD = orjson.loads(SOUND.content())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
HOSTILE = {
    "format": [None, "1", 1.0, True, 2, 0, [], {}],
    "ledger": [None, "", 7, "a\nb", "x" * 201, ["a"]],
    "lsn": [None, "17", 17.0, True, -1, 2**63, 1e300],
    "hash": [None, "", "0" * 63, "0" * 65, "G" * 64, "A" * 64, "0" * 64 + "\n", 0],
    "schema": [None, "9", 9.0, True, -1],
    "stream_tag": [None, "", 7, "a\0b", "x" * 201],
    "digest": [None, "", "ab" * 32, "sha256:" + "AB" * 32, DIGEST + "\n", "sha256:../../etc"],
    "size": [None, "1", 0, -1, 1.5, True, 2**63],
    "bytes": [None, "1", 0, -1, 1.5, True, 2**63],
    "time": [None, "", 7, "x" * 201, "\x1b[2J"],
}


def test_a_document_says_what_was_written():
    """Read back, it is the same; and it names the blob in the way all documents do."""
    assert Checkpoint.parse(SOUND.content()) == SOUND
    assert DIGEST in SOUND.content().decode()
    assert TOLD.keys() == HOSTILE.keys()
    assert Checkpoint.parse(orjson.dumps({**TOLD, "later": "versions may say more"})) == SOUND


def test_callers_are_told_all_but_the_digest():
    """Who knows the digest may fetch the copy, and it holds everything."""
    assert SOUND.told().keys() == TOLD.keys() - {"format", "digest"}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in HOSTILE.items() for value in values]
)
def test_a_field_that_cannot_be_is_refused(name, value):
    """By name, whatever it is; and so is one that is missing."""
    for told in ({**TOLD, name: value}, {key: TOLD[key] for key in TOLD if key != name}):
        with pytest.raises(Unfit, match=r"format|none of ours" if name == "format" else name):
            Checkpoint.parse(orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS))


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"7", b'"x"', b"[" * 9999, b"\xff"])
def test_what_is_no_object_is_refused(content):
    """Whoever wrote it."""
    with pytest.raises(Unfit):
        Checkpoint.parse(content)


@settings(max_examples=at_length(30, 2000), suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(sorted(TOLD)), JSON))
def test_no_document_makes_it_fail_otherwise(changes):
    """It is read, or refused in words."""
    try:
        Checkpoint.parse(orjson.dumps({**TOLD, **changes}, default=str))
    except (Unfit, orjson.JSONEncodeError):
        return


# what it unpacks to -----------------------------------------------------------------------------


def kept(content, **told):
    """Return packed bytes, and a checkpoint that tells of them what is so, but for `told`."""
    about = {
        "digest": Digest(f"sha256:{hashlib.sha256(content).hexdigest()}"),
        "size": len(content),
        "unpacked": 1000,
        **told,
    }
    names = Checkpoint.__slots__
    return Checkpoint(**{name: about.get(name, getattr(SOUND, name)) for name in names})


def unpacked(content, told):
    """Return what packed bytes unpack to."""
    file = io.BytesIO()
    unpack(io.BytesIO(content), file, told)
    return file.getvalue()


@pytest.mark.parametrize("size", [1, CHUNK, 3 * CHUNK + 1])
def test_what_was_packed_unpacks(tmp_path, size):
    """Piece by piece, none of them large."""
    content = secrets.token_bytes(size // 2) + bytes(size - size // 2)
    (tmp_path / "view").write_bytes(content)
    pieces = list(packed(tmp_path / "view"))
    assert max(map(len, pieces)) <= 2 * CHUNK
    told = kept(b"".join(pieces), unpacked=size)
    assert unpacked(b"".join(pieces), told) == content


def test_nobody_can_work_out_the_digest(tmp_path):
    """The same view is packed as other bytes each time."""
    (tmp_path / "view").write_bytes(b"what everybody knows")
    assert b"".join(packed(tmp_path / "view")) != b"".join(packed(tmp_path / "view"))


def test_a_bomb_is_not_unpacked_further_than_was_said():
    """Gigabytes of nothing in a few bytes: it ends at what the document says, and says so."""

    class Counting(io.BytesIO):
        """A file that tells how much was written."""

        most = 0

        def write(self, piece):
            """Count, and keep nothing."""
            self.most += len(piece)
            return len(piece)

    bomb = ZstdCompressor().compress(bytes(1 << 26)) * 100
    assert len(bomb) < 1_000_000
    file = Counting()
    with pytest.raises(Unfit, match="more than 1000"):
        unpack(io.BytesIO(bomb), file, kept(bomb))
    assert file.most <= 1000


def test_a_window_of_gigabytes_is_not_opened():
    """What was not packed here may ask for any memory; it does not get it."""
    from zstandard import ZstdCompressionParameters  # noqa: PLC0415

    wide = ZstdCompressionParameters(window_log=27, write_content_size=False)
    packer = ZstdCompressor(compression_params=wide).compressobj()
    content = packer.compress(b"x" * 1000) + packer.flush()
    with pytest.raises(Unfit, match="does not unpack"):
        unpacked(content, kept(content))


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda content: content[:-1],
        lambda content: content[:20],
        lambda content: b"",
        lambda content: content + b"\0",
        lambda content: content + content,
        lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
        lambda content: bytes([content[10] ^ 1]) + content[1:],
        lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:],
        lambda content: secrets.token_bytes(len(content)),
    ],
)
def test_other_bytes_than_were_said_are_refused(tmp_path, spoilt):
    """Fewer, more, or one of them another, in what is skipped as well."""
    (tmp_path / "view").write_bytes(secrets.token_bytes(1000))
    content = b"".join(packed(tmp_path / "view"))
    with pytest.raises(Unfit):
        unpacked(spoilt(content), kept(content))
