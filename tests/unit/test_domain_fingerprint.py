"""Fingerprints: equal for equal content, different for any change, checkable by anybody."""

import hashlib
import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.domain.fingerprint import tag_fingerprint, timeline_fingerprint
from datastore_logic.domain.moment import Interval, Moment
from datastore_logic.domain.tags import Digest
from datastore_logic.domain.timeline import Payload, Row

DIGEST = Digest.parse("sha256:" + "ab" * 32)
ROW = Row(Interval(Moment(1, 2), Moment(3, 4)), Payload('β "x"\n', "c", DIGEST, 5))

rows = st.builds(
    lambda start, length, *payload: Row(
        Interval(Moment(start), None if length is None else Moment(start + length)),
        Payload(*payload),
    ),
    st.integers(0, 5),
    st.none() | st.integers(1, 5),
    st.text(max_size=3),
    st.none() | st.text(max_size=2),
    st.none() | st.just(DIGEST),
)


def independent(timeline):
    """Compute the fingerprint from the words of the documentation alone."""
    table = [
        [
            *(row.interval.start.major, row.interval.start.minor),
            *((None, None) if row.interval.end is None else row.interval.end.wire()),
            *(row.payload.name, row.payload.checksum, row.payload.digest),
        ]
        for row in timeline
    ]
    table.sort(key=lambda line: [(True,) if value is None else (False, value) for value in line])
    text = "".join(
        json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in table
    )
    return hashlib.sha256(text.encode()).hexdigest()


@given(st.lists(rows, max_size=8), st.randoms())
def test_it_depends_on_the_content_and_not_on_the_order(timeline, rng):
    """Any order gives the digest that an independent ten-line script computes."""
    shuffled = list(timeline)
    rng.shuffle(shuffled)
    assert timeline_fingerprint(shuffled) == timeline_fingerprint(timeline) == independent(timeline)


def test_any_change_changes_it():
    """Each of start, end, name, checksum and digest counts."""
    changed = [
        replace(ROW, interval=Interval(Moment(1, 1), Moment(3, 4))),
        replace(ROW, interval=Interval(Moment(1, 2), Moment(3, 5))),
        replace(ROW, interval=Interval(Moment(1, 2))),
        replace(ROW, payload=replace(ROW.payload, name="y")),
        replace(ROW, payload=replace(ROW.payload, checksum=None)),
        replace(ROW, payload=replace(ROW.payload, digest=None)),
    ]
    assert len({timeline_fingerprint([row]) for row in [ROW, *changed]}) == 1 + len(changed)


def test_a_tag_covers_its_types_by_name():
    """The order of building does not count, which type has which timeline does."""
    types = [(f"T{i}", timeline_fingerprint([ROW] * i)) for i in range(5)]
    assert tag_fingerprint(dict(types)) == tag_fingerprint(dict(reversed(types)))
    assert tag_fingerprint({"A": "1", "B": "2"}) != tag_fingerprint({"A": "2", "B": "1"})
