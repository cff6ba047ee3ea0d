"""Answers from the cache are those of its source, asked for at boundaries only."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cache_source import BEGIN, FROZEN, Made, Noted
from hypothesis import given, settings
from hypothesis import strategies as st

from condstore.cache import Cache, Cached
from condstore.cache.answers import Kept
from condstore.config import Settings
from condstore.errors import NotFound, UsageError
from condstore.moments import Moment

RUNS = {"Beam": [(0, 10), (10, 20), (30, None)], "Field": [(5, 25)]}


@pytest.fixture
def source(tmp_path):
    """Return a source that notes what it is asked."""
    return Noted(Made(RUNS), tmp_path / "asked")


@pytest.fixture
def cache(tmp_path):
    """Return an empty cache."""
    made = Cache(tmp_path / "cache", limit=16 << 20)
    yield made
    made.close()


def again(cache, source):
    """Return what the next process has: the directory, and nothing in memory."""
    return Cached(source, Cache(cache.path, limit=cache.limit))


def test_a_job_that_walks_asks_at_boundaries_only(cache, source):
    """Forty runs, six answers; and the next job none."""
    for reader in (Cached(source, cache), again(cache, source)):
        for run in range(40):
            assert reader.resolve(FROZEN, Moment(run), None) == Made(RUNS).resolve(
                FROZEN, Moment(run), None
            )
    assert source.count("r") == 6
    assert cache.done().answers_remembered == 34


def test_what_was_pinned_to_a_moment_of_the_ledger_is_remembered_but_not_kept(cache, source):
    """`TAG@<lsn>` names another thing after a restore; so the next process asks again."""
    for reader in (Cached(source, cache), again(cache, source)):
        for run in range(10, 20):
            reader.resolve("T@17", Moment(run), "Beam")
    assert source.count("r") == 2


def test_the_plain_tag_is_never_answered_from_here(cache, source):
    """It may have changed since."""
    reader = Cached(source, cache)
    for _ in range(3):
        reader.resolve("T", Moment(1), None)
        reader.resolve_many("T", [Moment(1)], ())
        reader.tag("T")
    assert (source.count("r"), source.count("m"), source.count("t")) == (3, 3, 3)


def test_a_frozen_tag_is_asked_about_once(cache, source):
    """What it holds is fixed, too."""
    for _ in range(2):
        assert again(cache, source).tag(FROZEN) == Made(RUNS).tag(FROZEN)
    assert source.count("t") == 1


def test_many_moments_ask_about_those_not_known(cache, source):
    """In their order, each as often as it was asked for."""
    moments = [Moment(run) for run in (39, 1, 1, 12, 2)]
    reader = Cached(source, cache)
    for _ in range(2):
        assert reader.resolve_many(FROZEN, moments, ()) == Made(RUNS).resolve_many(
            FROZEN, moments, ()
        )
    reader.resolve_many(FROZEN, [Moment(3), Moment(38)], ())
    assert source.count("m") == 1


def test_one_type_and_all_types_are_two_questions(cache, source):
    """An answer about one type holds longer than that about all."""
    reader = Cached(source, cache)
    reader.resolve(FROZEN, Moment(12), None)
    assert reader.resolve(FROZEN, Moment(12), "Field").until == Moment(25)


def test_a_refusal_is_not_kept(cache, source):
    """Who asks for a type that is not there is told each time."""
    for _ in range(2):
        with pytest.raises(NotFound):
            Cached(source, cache).resolve(FROZEN, Moment(12), "Typo")
    assert source.count("r") == 2


@st.composite
def timelines(draw):
    """Draw the intervals of a type: in order, with gaps, perhaps open at the end."""
    bounds = sorted(draw(st.sets(st.integers(0, 60), min_size=2, max_size=10)))
    kept = [pair for pair in itertools.pairwise(bounds) if draw(st.booleans())]
    return [*kept, (bounds[-1], None)] if draw(st.booleans()) else kept


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(["A", "B", "C"]), timelines(), min_size=1),
    st.lists(st.tuples(st.integers(0, 64), st.sampled_from(["", "A", "B"])), max_size=30),
)
def test_cached_answers_are_the_uncached_ones(intervals, asked):
    """Whatever was asked before, in this process or in another."""
    source = Made(intervals)
    with TemporaryDirectory() as folder:
        cache = Cache(Path(folder), limit=1 << 20)
        readers = [Cached(source, cache), Cached(source, cache)]
        for turn, (run, kind) in enumerate(asked):
            reader, moment = readers[turn % 2], Moment(run, run % 3)
            only = kind if kind in intervals else None
            assert reader.resolve(FROZEN, moment, only) == source.resolve(FROZEN, moment, only)
        moments = [Moment(run) for run, _ in asked]
        for reader in readers:
            assert reader.resolve_many(FROZEN, moments, ()) == source.resolve_many(
                FROZEN, moments, ()
            )
        cache.close()


def test_threads_share_a_source_with_its_cache(cache, source):
    """Many at once are answered as one would be."""
    reader, got = Cached(source, cache), []
    moments = [Moment(run) for run in range(40)]

    def walk():
        got.append([reader.resolve(FROZEN, moment, None) for moment in moments])

    threads = [threading.Thread(target=walk) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == 8 * [[Made(RUNS).resolve(FROZEN, moment, None) for moment in moments]]
    assert source.count("r") == 6


def test_an_answer_is_kept_while_an_error_is_handled(cache, source):
    """Who asks in an `except` block is served as anybody else."""
    try:
        {}["nothing"]
    except KeyError:
        Cached(source, cache).resolve(FROZEN, Moment(1), None)
    assert again(cache, source).resolve(FROZEN, Moment(2), None).moment == Moment(2)
    assert source.count("r") == 1


# -- damage --------------------------------------------------------------------------------------


def learnt(cache, source):
    """Ask about every interval; return the file of answers, closed."""
    reader = Cached(source, cache)
    for run in range(40):
        reader.resolve(FROZEN, Moment(run), None)
    cache.close()
    (file,) = cache.folder.path.glob("answers-*.sqlite")
    return file


@pytest.mark.parametrize(
    "change",
    [
        "body = replace(body, 'Beam', 'Bean')",
        "since_major = since_major - 1",
        "until_major = until_major + 1",
        "until_major = NULL, until_minor = NULL",
        "checksum = zeroblob(16)",
        "body = '{}'",
    ],
)
def test_an_answer_that_was_changed_is_not_believed(cache, source, change):
    """Neither its text nor its interval; it is dropped and asked for again."""
    file = learnt(cache, source)
    with sqlite3.connect(file) as base:
        base.execute(f"UPDATE answers SET {change} WHERE since_major = 10")  # noqa: S608
    base.close()
    reader = again(cache, source)
    for run in range(40):
        assert reader.resolve(FROZEN, Moment(run), None) == Made(RUNS).resolve(
            FROZEN, Moment(run), None
        )
    assert source.count("r") == 7


def test_no_flipped_byte_is_ever_believed(cache, source):
    """Anywhere in the file: the answers are right, and the cache goes on."""
    file = learnt(cache, source)
    whole = file.read_bytes()
    for at in range(0, len(whole), 211):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        cached = again(cache, source)
        for run in (3, 12, 39):
            assert cached.resolve(FROZEN, Moment(run), None) == Made(RUNS).resolve(
                FROZEN, Moment(run), None
            )
        cached.cache.close()
        for left in cache.folder.path.glob("answers-*"):
            left.unlink()


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 5000])
def test_a_truncated_file_is_begun_anew(cache, source, size):
    """Cut anywhere: a file is there again afterwards, and it works."""
    file = learnt(cache, source)
    with file.open("r+b") as cut:
        cut.truncate(size)
    for reader in (again(cache, source), again(cache, source)):
        for run in (3, 12, 39):
            assert reader.resolve(FROZEN, Moment(run), None).moment == Moment(run)
        reader.cache.close()
    assert source.count("r") <= 9
    assert len(list(cache.folder.path.glob("answers-*.sqlite"))) == 1


def test_another_versions_answer_is_asked_for_again(cache, source):
    """What the reader does not understand is not an error of the job's."""
    cache.answers.keep('[1,"one","' + FROZEN + '"]', [_unreadable()])
    assert Cached(source, cache).resolve(FROZEN, Moment(1), None).moment == Moment(1)
    assert source.count("r") == 1
    assert again(cache, source).resolve(FROZEN, Moment(1), None)
    assert source.count("r") == 1


def _unreadable():
    return Kept(BEGIN, None, b'{"tag": "T"}')


def test_answers_keep_to_their_share(tmp_path, source):
    """The oldest are forgotten; asked for again they are there again."""
    cache = Cache(tmp_path / "small", limit=1 << 20)
    many = Made({f"Type{n}": [(run, run + 1) for run in range(120)] for n in range(24)})
    reader = Cached(Noted(many, tmp_path / "many"), cache)
    for run in range(120):
        reader.resolve(FROZEN, Moment(run), None)
    found = cache.statistics()
    assert 5 < found.answers < 60
    assert found.answer_bytes <= (1 << 17) + (2 << 20)
    fresh = again(cache, Noted(many, tmp_path / "fresh"))
    assert fresh.resolve(FROZEN, Moment(119), None) == many.resolve(FROZEN, Moment(119), None)
    assert fresh.resolve(FROZEN, Moment(0), None) == many.resolve(FROZEN, Moment(0), None)
    assert (tmp_path / "fresh").read_text() == "r"
    cache.close()


def test_the_environment_names_the_cache():
    """CONDSTORE_CACHE and CONDSTORE_CACHE_BYTES; without the first there is none."""
    assert Cache.of(Settings.from_environ({})) is None
    told = {"CONDSTORE_CACHE": "/scratch/c", "CONDSTORE_CACHE_BYTES": "5000000"}
    found = Cache.of(Settings.from_environ(told))
    assert (found.path, found.limit) == (Path("/scratch/c"), 5_000_000)


@pytest.mark.parametrize("text", ["10GB", "-1", "1000", "0x10", "1e9"])
def test_a_size_that_is_none_is_refused_by_name(text):
    """One line says which variable, and what it would take."""
    with pytest.raises(UsageError, match=f"CONDSTORE_CACHE_BYTES='{text}'"):
        Settings.from_environ({"CONDSTORE_CACHE_BYTES": text})
