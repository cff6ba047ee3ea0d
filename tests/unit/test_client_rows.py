"""Many payload IOVs in a file: three forms, the same entries; each wrong row by line and field."""

import pytest

from condstore import rows
from condstore.digests import Digest
from condstore.moments import Moment
from condstore.rows import BadRows

BEAM = Digest.of(b"beam")
CSV = (
    f"payload_type,start,end,name,digest\nBeam,1200:17,1300,beam-7,\nField,968654552.25,,,{BEAM}\n"
)
NDJSON = (
    '{"payload_type":"Beam","start":"1200:17","end":1300,"name":"beam-7"}\n\n'
    f'{{"payload_type":"Field","start":968654552.25,"digest":"{BEAM}"}}\n'
)
JSON = (
    '[{"payload_type":"Beam","start":[1200,17],"end":[1300,0],"name":"beam-7"},'
    f' {{"payload_type":"Field","start":"968654552.25","digest":"{BEAM}","end":null}}]'
)


def read(text, folder, payload_type=None):
    """Return the entries in a text."""
    return rows.read(text, "rows", folder, payload_type)


@pytest.mark.parametrize("text", [CSV, NDJSON, JSON], ids=["csv", "ndjson", "json"])
def test_the_three_forms_say_the_same(text, tmp_path):
    """Moments as people write them; a GPS time keeps every decimal in JSON too."""
    beam, field = (entry.iov for entry in read(text, tmp_path))
    assert (beam.payload_type, beam.start, beam.end) == ("Beam", Moment(1200, 17), Moment(1300))
    assert (beam.name, beam.digest) == ("beam-7", None)
    assert (field.start, field.end) == (Moment(968654552, 250000000), None)
    assert (field.name, field.digest) == (None, BEAM)


def test_a_type_for_all_rows_and_files_beside_the_list(tmp_path):
    """`iov insert TAG Beam --from rows.csv`: paths are found from the list's own folder."""
    (tmp_path / "beam.json").write_text("{}")
    (entry,) = read("start,file\n1200,beam.json\n", tmp_path, "Beam")
    assert entry.iov.payload_type == "Beam"
    assert entry.file == tmp_path / "beam.json"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("payload_type,start,name\nBeam,x,a\n", "rows line 2: start: 'x' is not a moment"),
        ("payload_type,start,name\nBeam,,a\n", "rows line 2: start: is missing"),
        ("start,name\n1,a\n", "rows line 2: payload_type: is missing"),
        ("payload_type,start\nBeam,1\n", "rows line 2: name: is needed"),
        ("payload_type,start,end,name\nBeam,5,5,a\n", "rows line 2: end: 5 does not come after"),
        ("payload_type,start,nmae\nBeam,1,a\n", "rows line 2: nmae: is no field"),
        ("payload_type,start,name\nBeam,1,a,b\n", "rows line 2 has more fields"),
        ("payload_type,start,digest\nBeam,1,sha256:12\n", "rows line 2: digest: 'sha256:12'"),
        ("payload_type,start,name,size\nB,1,a,-4\n", "rows line 2: size: '-4' is not a whole"),
        ("payload_type,start,file\nB,1,nofile\n", "rows line 2: file:"),
        ('{"start":1}\n{"start":tomorrow}\n', "rows line 2 is not JSON"),
        ('[{"payload_type":"B","start":true,"name":"a"}]', "rows row 1: start: True is not a mom"),
        ('[{"payload_type":7,"start":1,"name":"a"}]', "rows row 1: payload_type: 7 is not a text"),
        ("[17]", "rows row 1: is no object"),
        ("[]", "rows has no rows"),
        ("payload_type,start,name\n", "rows has no rows"),
        ("", "rows has no rows"),
    ],
)
def test_a_wrong_row_is_named_by_line_and_field(text, said, tmp_path):
    """Whoever made the file can mend it from the message alone."""
    with pytest.raises(BadRows) as refused:
        read(text, tmp_path)
    assert said in str(refused.value)


def test_all_wrong_rows_are_named_at_once(tmp_path):
    """Up to twenty, and how many more."""
    text = "payload_type,start,name\n" + "Beam,x,a\n" * 23 + "Beam,1,a\n"
    with pytest.raises(BadRows, match="and 3 more") as refused:
        read(text, tmp_path)
    assert "line 2:" in str(refused.value)
    assert "line 21:" in str(refused.value)
