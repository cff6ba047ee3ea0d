"""The first answer comes from SQLite, later ones from slices: nobody can tell them apart."""

import pytest
from logic_fakes import FakeBuffer, small_app
from timelines import TYPES

from datastore_logic.config import IovMode
from datastore_logic.domain.columns import Columns
from datastore_logic.domain.events import ListChange, TagCreated, TagFrozen, TimelinesChanged
from datastore_logic.domain.moment import LIMIT
from datastore_logic.domain.tags import PayloadTypeName, TagName
from datastore_logic.view import prepared

MARK = "cd" * 32
MOMENTS = [(0, 0), (1, 0), (2, 3), (4, 0), (5, 0), (6, LIMIT), (LIMIT, LIMIT)]
QUERIES = [
    "/api/cdb_rest/payloadiovs/?gtName={tag}&majorIOV={major}&minorIOV={minor}",
    "/api/cdb_rest/payload-iovs/query/?gtName={tag}&majorIOV={major}&minorIOV={minor}&shape=dict",
    "/api/v1/global-tags/{tag}/payloads?major={major}&minor={minor}",
]


def columns(kind):
    """Return a row of each sort: bounded, with a gap behind it, with every column, open."""
    return Columns(
        [1, 2, 5],
        [f"{kind} ä.root", f"{kind}-2.root", f"{kind}-3.root"],
        [0, 3, 0],
        [2, 4, None],
        [3, 0, None],
        ["sum", None, '"quoted"'],
        ["sha256:" + "ab" * 32, None, "sha256:" + "cd" * 32],
        [None, 7, 8],
        [3, None, None],
    )


@pytest.fixture(params=list(IovMode))
def ask(request, tmp_path):
    """Return a client of the application, over a frozen tag, in both modes of ends."""
    buffer = FakeBuffer()
    lists = [ListChange(PayloadTypeName(kind), TagName("X"), None, columns(kind)) for kind in TYPES]
    for event in (TagCreated(TagName("X")), TimelinesChanged((*lists,))):
        buffer.write(event.type, event.data(), "tag/X")
    frozen = TagFrozen(TagName("X"), MARK)
    buffer.write(frozen.type, frozen.data(), "tag/X")
    with small_app(tmp_path, buffer, iov_mode=request.param, slices_bytes=0) as app:
        yield app.test_client()


@pytest.mark.parametrize("tag", ["X", f"X@{MARK}"])
@pytest.mark.parametrize("query", QUERIES)
def test_every_answer_is_the_first_one(ask, query, tag, monkeypatch):
    """Byte for byte, headers included."""
    urls = [query.format(tag=tag, major=major, minor=minor) for major, minor in MOMENTS]
    monkeypatch.setattr(prepared, "SMALL", -1)
    first = [ask.get(url) for url in urls]
    monkeypatch.setattr(prepared, "SMALL", 4096)
    ask.get(urls[0])
    monkeypatch.setattr(prepared, "look_up", None)
    for url, expected in zip(urls, first, strict=True):
        again = ask.get(url)
        assert (again.status_code, again.data) == (expected.status_code, expected.data)
        assert told(again) == told(expected)


def told(answer):
    """Return the headers but for the request's own id."""
    return {name: value for name, value in answer.headers if name != "X-Request-Id"}


@pytest.mark.parametrize("query", QUERIES)
def test_what_is_known_is_answered_without_the_view(ask, query, tmp_path):
    """No statement is run while nobody writes: with many threads, each costs more than the rest."""
    url = query.format(tag="X", major=2, minor=3)
    first, _, _ = (ask.get(url) for _ in range(3))
    (tmp_path / "view.sqlite").rename(tmp_path / "away")
    assert ask.get(url).data == first.data
    assert ask.get("/api/v1/global-tags/X").status_code == 503
