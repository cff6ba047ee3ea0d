"""Bundles: what is pulled answers as the server would, and what was not pulled is an error."""

import doctest
import fcntl
import importlib
import itertools
import os
import pkgutil
import resource
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from told_tag import ToldTag, iov

from condstore import bundle
from condstore.bundle import Bundle
from condstore.digests import Digest
from condstore.errors import (
    NotFound,
    NotInBundle,
    NotProven,
    ServerAway,
    UnexpectedAnswer,
    UsageError,
)
from condstore.moments import LIMIT, Moment

SOME = settings(
    max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
numbers = st.one_of(st.integers(0, 12), st.sampled_from([LIMIT - 1, LIMIT]))
moments = st.builds(Moment, numbers, numbers)


@st.composite
def timelines(draw, kind):
    """Draw disjoint rows with gaps, the last one perhaps open."""
    edges = sorted(draw(st.sets(moments, max_size=12)))
    rows = []
    for start, end in itertools.pairwise(edges):
        if draw(st.booleans()):
            rows.append(iov(kind, start, end, revision=draw(st.none() | st.integers(0, 3))))
    if edges and draw(st.booleans()):
        rows.append(iov(kind, edges[-1], None, name='naïve "ü"', id=None))
    return rows


tags = st.builds(
    lambda *lists: ToldTag(dict(zip(["Beam", "Field", "Noise"], lists, strict=False))),
    *(timelines(kind) for kind in ["Beam", "Field", "Noise"]),
)


@given(told=tags, span=st.none() | st.tuples(moments, st.none() | moments), asked=st.data())
@SOME
def test_a_bundle_answers_as_the_server_would(told, span, asked, tmp_path):
    """Field by field: whole or trimmed, proven or told, wherever the range begins and ends."""
    begin, end = span or (None, None)
    if end is not None and end <= (begin or Moment(0)):
        begin, end = end, None
    prove = asked.draw(st.booleans())
    path = tmp_path / "b"
    bundle.pull(told, told.ref, path, begin=begin, end=end, prove=prove, force=True)
    found = Bundle(path, small=asked.draw(st.sampled_from([0, 1 << 20])))
    edges = {edge for rows in told.lists.values() for row in rows for edge in (row.start, row.end)}
    near = {moment for edge in edges if edge for moment in (edge, *_beside(edge))}
    for moment in sorted(near | {begin or Moment(0), Moment(LIMIT, LIMIT)}):
        if moment < (begin or Moment(0)) or (end and moment >= end):
            with pytest.raises(NotInBundle):
                found.resolve(told.ref, moment, None)
            continue
        assert found.resolve(told.ref, moment, None) == told.resolve(moment)
        assert found.resolve("prompt", moment, "Beam") == told.resolve(moment, ["Beam"])
    for kind in told.lists:
        assert [*found.iovs(told.ref, kind, begin, end)] == [*told.iovs(told.ref, kind, begin, end)]
    assert found.tag(told.ref) == told.tag(told.ref)
    assert bundle.verify(path).recomputed == (found.about.whole and found.about.proof != "told")
    found.close()


def _beside(edge):
    """Yield the moments just before and after."""
    if edge.minor:
        yield Moment(edge.major, edge.minor - 1)
    elif edge.major:
        yield Moment(edge.major - 1, LIMIT)
    if edge.minor < LIMIT:
        yield Moment(edge.major, edge.minor + 1)


@pytest.fixture
def many():
    """Return a tag of three lists and so many rows that they fill several slices."""
    return ToldTag(
        {
            "Beam": [iov("Beam", run, run + 1) for run in range(0, 3000, 2)],
            "Field": [iov("Field", run, run + 7, revision=run) for run in range(5, 3000, 7)],
            "Slow": [iov("Slow", 1, 2500), iov("Slow", 2600)],
        }
    )


def test_rows_that_reach_over_slices_are_found_everywhere(many, tmp_path):
    """A list of two rows among lists of thousands; and each row is listed once."""
    bundle.pull(many, "prompt", tmp_path / "b")
    found = Bundle(tmp_path / "b", small=0)
    for run in range(0, 3010, 3):
        assert found.resolve("prompt", Moment(run, 5), None) == many.resolve(Moment(run, 5))
    for begin, end in [(None, None), (Moment(700), Moment(1500)), (Moment(2499), None)]:
        for kind in many.lists:
            expected = [*many.iovs(many.ref, kind, begin, end)]
            assert [*found.iovs("prompt", kind, begin, end)] == expected
    with sqlite3.connect(tmp_path / "b") as connection:
        assert connection.execute("SELECT max(slice) FROM slice").fetchone()[0] > 5
    connection.close()
    found.close()


def test_many_moments_and_some_types(many, tmp_path):
    """Of several types the answer holds as long as that of all types, as it does online."""
    bundle.pull(many, many.ref, tmp_path / "b")
    found = Bundle(tmp_path / "b")
    (of_two,) = found.resolve_many(many.ref, [Moment(10)], ["Slow", "Beam"])
    of_all = many.resolve(Moment(10))
    assert [each.payload_type for each in of_two.payloads] == ["Beam", "Slow"]
    assert (of_two.since, of_two.until) == (of_all.since, of_all.until)
    assert found.resolve_many(many.ref, [Moment(1), Moment(10)], [])[1] == of_all
    assert found.resolve_many(many.ref, [Moment(10)], ["Slow"]) == (
        many.resolve(Moment(10), ["Slow"]),
    )
    found.close()


def test_what_was_not_pulled_is_an_error_and_no_gap(many, tmp_path):
    """Moments, types, payloads: each says what the bundle has."""
    path = tmp_path / "b"
    bundle.pull(many, many.ref, path, begin=100, end=200, payload_types=["Beam"], payloads=False)
    found = Bundle(path)
    with pytest.raises(NotInBundle, match=r"200 .* pulled for \[100, 200\)"):
        found.resolve(many.ref, Moment(200), None)
    with pytest.raises(NotInBundle, match=r"Field is not in .* pulled for Beam only"):
        found.resolve(many.ref, Moment(150), "Field")
    with pytest.raises(NotInBundle, match=r"ask for that"):
        next(found.iovs(many.ref, "Beam", None, None))
    with pytest.raises(NotInBundle, match="without payloads"), found.pieces(Digest.of(b"x")):
        pass
    for ref in ("prompt@5", "other", "prompt@" + "0" * 64):
        with pytest.raises(NotFound, match=f"has no {ref}, but {many.ref}"):
            found.tag(ref)
    with pytest.raises(NotFound, match="no payload type Nonsense"):
        found.resolve(many.ref, Moment(150), "Nonsense")
    assert found.resolve(many.ref, Moment(150), None) == many.resolve(Moment(150), ["Beam"])
    assert (len(found.tags("ROMP", None)), found.tags("", "locked")) == (1, ())
    found.close()


def test_payloads_are_inside_or_beside(tmp_path):
    """Each once, in pieces; beside a bundle they lie as on a databuffer's volume."""
    told = ToldTag({"Beam": []})
    large, small = told.keep(b"large" * 700_000), told.keep(b"small")
    rows = [
        iov("Beam", 1, 2, digest=large), iov("Beam", 2, 3, digest=small), iov("Beam", 3, 4),
        iov("Beam", 4, 5, digest=small),
    ]  # fmt: skip
    told = ToldTag({"Beam": rows}, told.payloads)
    steps = []
    done = bundle.pull(told, told.ref, tmp_path / "inside", tell=steps.append)
    assert (done.payloads, done.payload_bytes) == (2, 3_500_005)
    assert [(step.what, step.done, step.total) for step in steps] == [
        ("payload IOVs", 4, 4), ("payloads", 1, 2), ("payloads", 2, 2),
    ]  # fmt: skip
    for again in (True, False):
        done = bundle.pull(told, told.ref, tmp_path / "beside", payloads=tmp_path / "blobs")
        assert (done.new, done.payloads) == (again, 0)
    inside, beside = Bundle(tmp_path / "inside"), Bundle(tmp_path / "beside")
    elsewhere = Bundle(tmp_path / "beside", payloads=tmp_path / "blobs")
    for digest in (large, small):
        for each in (inside, elsewhere):
            with each.pieces(digest) as pieces:
                assert b"".join(pieces) == told.payloads[digest]
    for each in (inside, elsewhere):
        with pytest.raises(NotFound), each.pieces(Digest.of(b"foreign")):
            pass
        each.close()
    beside.close()
    assert bundle.verify(tmp_path / "beside", payloads=tmp_path / "blobs").payloads == 2


def test_a_server_that_tells_something_else_is_found(tmp_path):
    """A row changed, left out, added: no bundle is written."""
    rows = [iov("Beam", 1, 2), iov("Beam", 2, 3)]
    true = ToldTag({"Beam": rows})
    for lie in (rows[:1], [rows[0], iov("Beam", 2, 3, "other")], [*rows, iov("Beam", 3, 4)]):
        liar = ToldTag({"Beam": lie}, fingerprint=true.fingerprint)
        with pytest.raises(NotProven, match="nothing was written"):
            bundle.pull(liar, true.ref, tmp_path / "b")
        with pytest.raises(NotProven):
            bundle.pull(liar, true.ref, tmp_path / "b", begin=1, end=2, prove=True)
    with pytest.raises(NotProven, match="the server answers with"):
        bundle.pull(ToldTag({"Beam": rows[:1]}), true.ref, tmp_path / "b")
    with pytest.raises(UnexpectedAnswer, match="overlap at 1:5"):
        bundle.pull(ToldTag({"Beam": [iov("Beam", 1, 2), iov("Beam", (1, 5))]}), "prompt",
                    tmp_path / "b")  # fmt: skip
    assert not [*tmp_path.iterdir()]


def test_a_streamed_tag_is_proven_by_its_segments(tmp_path):
    """Its fingerprint is over all segments; what is answered must be of them."""
    segments = [iov("h", 1, (4, 1), "a"), iov("h", 3, 6, "b")]
    seen = [iov("h", 1, 3, "a"), iov("h", 3, 6, "b")]
    told = ToldTag({"h": seen}, streamed={"h": segments})
    assert bundle.pull(told, told.ref, tmp_path / "b").proof == "fingerprint"
    assert bundle.verify(tmp_path / "b").recomputed
    found = Bundle(tmp_path / "b")
    assert found.resolve(told.ref, Moment(3), None).payloads[0].name == "b"
    found.close()
    liar = ToldTag({"h": [iov("h", 1, 3, "x"), seen[1]]}, streamed={"h": segments})
    with pytest.raises(NotProven, match="x, which is no segment"):
        bundle.pull(liar, liar.ref, tmp_path / "c")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("h", 1, 2, "b"), ("h", 2, 3, "a")], "b, which is no segment there"),
        ([("h", 1, 2, "a")], "leaves out a segment of h"),
    ],
)
def test_a_server_that_misplaces_or_leaves_out_segments_is_found(rows, found, tmp_path):
    """Where segments do not overlap, they say what is to be answered, and where."""
    segments = [iov("h", 1, 2, "a"), iov("h", 2, 3, "b")]
    liar = ToldTag({"h": [iov(*row) for row in rows]}, streamed={"h": segments})
    with pytest.raises(NotProven, match=found):
        bundle.pull(liar, liar.ref, tmp_path / "c")


def test_the_same_again_changes_nothing_and_another_is_refused(many, tmp_path):
    """An operator that is tried again succeeds; nobody loses a bundle to a name used twice."""
    path = tmp_path / "b"
    first = bundle.pull(many, many.ref, path, begin=1, end=9)
    before = path.stat()
    again = bundle.pull(many, "prompt", path, begin=1, end=9)
    assert (first.new, again.new) == (True, False)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    with pytest.raises(UsageError, match=r"another bundle: prompt@.* for \[1, 9\)"):
        bundle.pull(many, many.ref, path)
    assert bundle.pull(many, many.ref, path, force=True).new
    assert bundle.describe(path).whole


@pytest.mark.parametrize("links", [True, False])
def test_of_two_pulls_at_once_under_one_name_one_is_refused(many, tmp_path, links, monkeypatch):
    """Unless they are the same; also where files cannot have two names."""
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", _no_links)

    def faster(end):
        def pull(_progress):
            if not (tmp_path / "b").exists():
                bundle.pull(many, many.ref, tmp_path / "b", end=end)

        return pull

    assert not bundle.pull(many, many.ref, tmp_path / "b", end=9, tell=faster(9)).new
    (tmp_path / "b").unlink()
    with pytest.raises(UsageError, match="is another bundle"):
        bundle.pull(many, many.ref, tmp_path / "b", end=9, tell=faster(7))
    assert [*tmp_path.iterdir()] == [tmp_path / "b"]


def _no_links(*_):
    raise PermissionError(1, "Operation not permitted")


def test_only_frozen_content_is_pulled(tmp_path):
    """The refusal says what to do."""
    told = ToldTag({"Beam": [iov("Beam", 1)]}, state="unlocked")
    with pytest.raises(UsageError, match=r"prompt is unlocked.*`condstore tag freeze prompt`"):
        bundle.pull(told, "prompt", tmp_path / "b")
    told.state = "frozen"
    with pytest.raises(UsageError, match="end must follow begin"):
        bundle.pull(told, "prompt", tmp_path / "b", begin=2, end=2)
    with pytest.raises(NotFound, match=r"no payload type Field .* it has Beam"):
        bundle.pull(told, "prompt", tmp_path / "b", payload_types=["Field"])


def test_a_tag_without_anything_is_pulled_too(tmp_path):
    """It has no types, or types without rows."""
    for at, lists in enumerate(({}, {"Beam": []})):
        told = ToldTag(dict(lists))
        bundle.pull(told, told.ref, tmp_path / str(at))
        found = Bundle(tmp_path / str(at), small=0)
        assert found.resolve(told.ref, Moment(3), None) == told.resolve(Moment(3))
        found.close()
        bundle.verify(tmp_path / str(at))


def test_what_is_no_bundle_says_so(tmp_path):
    """A missing file, a directory, another file."""
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UsageError, match="there is no bundle"):
        Bundle(tmp_path / "none")
    with pytest.raises(UsageError, match="is a directory"):
        Bundle(tmp_path)
    with pytest.raises(UsageError, match="no condstore bundle"):
        Bundle(tmp_path / "text")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):  # the one gives nothing, the other no end
        with pytest.raises(UsageError, match="is no file"):
            Bundle(path)
    for path in (tmp_path / "text" / "x", tmp_path / ("x" * 300), "a\0b"):
        with pytest.raises(UsageError, match="cannot be read"):
            Bundle(path)


def test_a_bundle_that_was_closed_is_not_called_damaged(many, tmp_path):
    """Nobody is sent to copy a sound file anew."""
    bundle.pull(many, many.ref, tmp_path / "b")
    found = Bundle(tmp_path / "b")
    found.close()
    with pytest.raises(UsageError, match="was closed"):
        found.resolve("prompt", Moment(3), None)


def test_a_pull_that_is_swept_while_it_begins_begins_again(many, tmp_path, monkeypatch):
    """Another pull of that name may find its file before it is locked."""
    lock, swept = fcntl.flock, []

    def late(file, how):
        if not swept:
            swept.extend(tmp_path.iterdir())
            swept[0].unlink()
        lock(file, how)

    monkeypatch.setattr("condstore.bundle.writing.fcntl.flock", late)
    bundle.pull(many, many.ref, tmp_path / "b")
    assert [*tmp_path.iterdir()] == [tmp_path / "b"]
    bundle.verify(tmp_path / "b")


def test_threads_share_a_bundle(many, tmp_path):
    """They ask for other moments at the same time, and each gets its own answer."""
    bundle.pull(many, many.ref, tmp_path / "b")
    found = Bundle(tmp_path / "b")

    def ask(seed):
        return all(
            found.resolve("prompt", Moment(run), None) == many.resolve(Moment(run))
            for run in range(seed, 3000, 97)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))
    found.close()


def test_where_it_cannot_be_written_it_says_so(many, tmp_path):
    """No such directory; and a reader who stops in the middle leaves nothing."""
    with pytest.raises(UsageError, match="there is no directory"):
        bundle.pull(many, many.ref, tmp_path / "none" / "b")

    def stop(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bundle.pull(many, many.ref, tmp_path / "b", tell=stop)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("method", ["iovs", "open"])
def test_a_server_that_goes_away_in_the_middle_ends_the_pull(many, tmp_path, method, monkeypatch):
    """While lists, or payloads, are being read at once; whoever is still reading is let go."""
    digests = [many.keep(str(at).encode()) for at in range(20)]
    rows = [iov("Beam", at, at + 1, digest=digest) for at, digest in enumerate(digests)]
    told = ToldTag({**many.lists, "Beam": rows}, many.payloads)
    answer, asked = getattr(told, method), itertools.count()

    def away(*arguments, **named):
        if next(asked) == 2:
            raise ServerAway("nobody answers")
        return answer(*arguments, **named)

    monkeypatch.setattr(told, method, away, raising=False)
    with pytest.raises(ServerAway):
        bundle.pull(told, told.ref, tmp_path / "b")
    assert not [*tmp_path.iterdir()]


def test_a_disk_that_is_full_is_told_with_the_name(many, tmp_path):
    """And nothing is left on it; the limit is a child's own."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            bundle.pull(many, many.ref, tmp_path / "b")
        except OSError as error:
            os._exit(0 if str(tmp_path / "b") in str(error) else 2)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("module", [found.name for found in pkgutil.iter_modules(bundle.__path__)])
def test_examples_hold(module):
    """Every `>>>` line in the package answers as it says."""
    assert doctest.testmod(importlib.import_module(f"condstore.bundle.{module}"))[0] == 0
