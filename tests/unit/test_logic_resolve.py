"""Resolution and the streamed tag, beside brute force: every row looked at, one by one."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logic_fakes import FakeBuffer, small_app

KINDS = ["Beam", "Field"]
SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
MOMENTS = st.tuples(st.integers(0, 3), st.integers(0, 4))


@pytest.fixture
def buffer():
    """Return a databuffer in memory."""
    return FakeBuffer()


@pytest.fixture
def ask(buffer, tmp_path):
    """Make a client of the application, whose view follows the databuffer."""
    with small_app(tmp_path, buffer) as app:
        yield app.test_client()


def spans(least=0):
    """Return strategies of (start, end or None), not empty."""
    pairs = st.tuples(MOMENTS, st.one_of(st.none(), MOMENTS) if not least else MOMENTS)
    return pairs.filter(lambda pair: pair[1] is None or pair[0] < pair[1])


def newest_holding(rows, moment):
    """Return the last row of (start, end, name) that holds, None in a gap."""
    holding = [row for row in rows if row[0] <= moment and (row[1] is None or moment < row[1])]
    return holding[-1][2] if holding else None


def checked(answer, rows_of, moment):
    """Check one answer against brute force over rows in the order they came."""
    expected = {kind: newest_holding(rows, moment) for kind, rows in rows_of.items()}
    assert {p["payload_type"]: p["name"] for p in answer["payloads"]} == {
        kind: name for kind, name in expected.items() if name
    }
    assert answer["gaps"] == sorted(kind for kind, name in expected.items() if not name)
    return expected


@SETTINGS
@given(
    data=st.lists(st.tuples(st.sampled_from(KINDS), spans()), min_size=1, max_size=8),
    moment=MOMENTS,
)
def test_the_newest_row_that_holds_is_the_answer(buffer, ask, data, moment):
    """In an unlocked tag resolution answers what brute force finds, over all of since … until."""
    tag = f"T{len(buffer.lines)}"
    assert ask.post("/api/v1/global-tags", json={"name": tag}).status_code == 201
    rows_of = {}
    for number, (kind, (start, end)) in enumerate(data):
        query = {"tag": tag, "type": kind, "major": start[0], "minor": start[1], "name": number}
        query |= {"major_end": end[0], "minor_end": end[1]} if end else {}
        query["name"] = f"n{number}"
        assert ask.post("/stream", query_string=query, data=b"x").status_code == 201
        rows_of.setdefault(kind, []).append((start, end, f"n{number}"))
    url = f"/api/v1/global-tags/{tag}/payloads"
    answer = ask.get(f"{url}?major={moment[0]}&minor={moment[1]}").json
    expected = checked(answer, rows_of, moment)
    since, until = tuple(answer["since"]), answer["until"]
    assert since <= moment
    assert until is None or moment < tuple(until)
    for other in ((major, minor) for major in range(4) for minor in range(5)):
        if since <= other and (until is None or other < tuple(until)):
            seen = {kind: newest_holding(rows, other) for kind, rows in rows_of.items()}
            assert seen == expected


@SETTINGS
@given(data=st.lists(spans(least=1), min_size=1, max_size=10), moment=MOMENTS)
def test_overlapping_segments_answer_the_newest_and_all_are_kept(buffer, ask, data, moment):
    """What is visible of segments is the newest; the count is of every one of them."""
    buffer.clean(None)
    for number, (start, end) in enumerate(data):
        buffer.stored(list(start), list(end), name=f"s{number}", sample_ns=1)
    lsn = {"X-Min-LSN": str(len(buffer.lines))}
    url = f"/api/v1/global-tags/stream/payloads?major={moment[0]}&minor={moment[1]}"
    answer = ask.get(url, headers=lsn).json
    rows = [(start, end, f"s{number}") for number, (start, end) in enumerate(data)]
    checked(answer, {"strain": rows}, moment)
    assert ask.get("/api/v1/global-tags/stream").json["payload_lists"][0]["payload_iovs"] == len(
        data
    )


def test_ends_within_half_a_sample_snap(buffer, ask):
    """A nanosecond between two segments is neither a gap nor an overlap."""
    buffer.stored([10, 0], [10, 999], name="one", sample_ns=100)
    buffer.stored([10, 1040], [11, 0], name="two", sample_ns=100)
    lsn = {"X-Min-LSN": "2"}
    url = "/api/v1/global-tags/stream/payloads?major=10&minor=1010"
    answer = ask.get(url, headers=lsn).json
    assert [payload["name"] for payload in answer["payloads"]] == ["two"]
    assert answer["since"] == [10, 999]


def test_one_type_alone_holds_longer(buffer, ask):
    """Asked for one type, the answer holds as long as that type's payload does."""
    ask.post("/api/v1/global-tags", json={"name": "X"})
    ask.post("/stream?tag=X&type=Beam&major=1&major_end=9", data=b"a")
    ask.post("/stream?tag=X&type=Field&major=3&major_end=4", data=b"b")
    assert buffer.lines
    url = "/api/v1/global-tags/X/payloads?major=3"
    assert ask.get(url).json["until"] == [4, 0]
    assert ask.get(f"{url}&type=Beam").json["until"] == [9, 0]
    assert ask.get(f"{url}&type=Beam").json["gaps"] == []


def test_the_largest_moment_resolves(ask):
    """2^63-1 is a moment as any other."""
    ask.post("/api/v1/global-tags", json={"name": "X"})
    ask.post(f"/stream?tag=X&type=Beam&major={2**63 - 2}&minor={2**63 - 1}", data=b"a")
    url = f"/api/v1/global-tags/X/payloads?major={2**63 - 1}&minor={2**63 - 1}"
    assert [payload["size"] for payload in ask.get(url).json["payloads"]] == [1]
