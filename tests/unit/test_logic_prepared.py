"""What a process prepares answers as SQLite does, whatever is done to tags and files meanwhile."""

import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from timelines import MOMENTS, TYPES, check, contents, ledgered

from datastore_logic.domain.moment import Moment
from datastore_logic.domain.tags import TagName, TagRef
from datastore_logic.errors import NotFound
from datastore_logic.view import prepared, slices
from datastore_logic.view.contents import find_content
from datastore_logic.view.editions import edition
from datastore_logic.view.prepared import Prepared
from datastore_logic.view.slice_files import NoRoom, SliceFiles
from datastore_logic.view.slicer import MovedOn, build
from datastore_logic.view.slices import Damaged

MARK = "ab" * 32
ROWS = {kind: [((at, 0), (at + 1, 0), f"n{at}") for at in range(20)] for kind in TYPES}
SETTINGS = settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(autouse=True)
def _eager(monkeypatch):
    """Slice what is asked about twice, as finely as can be, and look for files each time."""
    monkeypatch.setattr(prepared, "WORTH_MEMORY", 10_000)
    monkeypatch.setattr(prepared, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(slices, "LEAST_CHANGES", 1)
    monkeypatch.setattr(slices, "CHANGES_A_TYPE", 1)


@pytest.fixture
def view(tmp_path):
    """Return an empty view."""
    with ledgered(tmp_path) as made:
        yield made


@pytest.fixture
def files(tmp_path):
    """Return an empty folder of slices."""
    return SliceFiles(tmp_path / "slices", 1 << 20)


@pytest.fixture
def unprepared(monkeypatch):
    """Let SQLite answer nothing: whoever asks it fails."""

    def look_up(*_):
        raise AssertionError("SQLite was asked")

    return lambda: monkeypatch.setattr(prepared, "look_up", look_up)


def ask(view, from_, ref, moment):
    """Return what stands at a moment."""
    with view.reader.snapshot(lazily=True) as snapshot:
        return from_.standing(snapshot, ref, Moment(*moment))[1]


def named(view, ref):
    """Return the edition that a reference names."""
    with view.database.snapshot() as snapshot:
        return edition(snapshot, find_content(snapshot, ref))


def sliced(view, files, tag="X"):
    """Make a tag and a file of its slices; return its reference and their edition."""
    view.hold(tag, ROWS)
    ref = TagRef(TagName(tag))
    build(view.database, files, ref, wanted := named(view, ref))
    return ref, wanted


def large(monkeypatch):
    """Let every content be too large for the memory."""
    monkeypatch.setattr(prepared, "SMALL", 0)


# a small content --------------------------------------------------------------------------------


@SETTINGS
@given(steps=st.lists(st.tuples(contents(), st.booleans()), min_size=1, max_size=4), moment=MOMENTS)
def test_every_answer_is_of_the_newest_rows(view, steps, moment):
    """A tag that changes and is frozen in between never answers what it held before."""
    known = Prepared()
    tag = TagName(f"T{len(view.buffer.lines)}")
    view.hold(tag, held := {})
    frozen = {}
    for serial, (content, freezes) in enumerate(steps):
        view.change(tag, held, content)
        held = content
        if freezes:
            mark = f"{len(view.buffer.lines):032x}{serial:032x}"
            view.freeze(tag, mark)
            view.unfreeze(tag)
            frozen[mark] = content
        for _ in range(3):
            check(ask(view, known, TagRef(tag), moment), held, moment)
            for mark, once in frozen.items():
                check(ask(view, known, TagRef(tag, mark), moment), once, moment)


def test_the_second_answer_comes_from_slices(view, unprepared):
    """SQLite is asked once about a small tag that does not change."""
    view.hold("X", ROWS)
    known, ref = Prepared(), TagRef(TagName("X"))
    ask(view, known, ref, (3, 0))
    ask(view, known, ref, (3, 0))
    unprepared()
    check(ask(view, known, ref, (7, 5)), ROWS, (7, 5))


def test_what_is_known_needs_no_file(view):
    """As long as nobody writes, an answer touches neither the view nor any lock."""
    view.hold("X", ROWS)
    known, ref = Prepared(), TagRef(TagName("X"))
    for _ in range(3):
        ask(view, known, ref, (3, 0))
    view.path.rename(view.path.with_name("away"))
    check(ask(view, known, ref, (7, 5)), ROWS, (7, 5))


def test_an_entry_about_another_tag_costs_one_look(view, unprepared):
    """The slices stay, and the state that is told of is the newest."""
    view.hold("X", ROWS)
    known, ref = Prepared(), TagRef(TagName("X"))
    for _ in range(3):
        ask(view, known, ref, (3, 0))
    unprepared()
    lsn = view.hold("Y", {})
    with view.reader.snapshot(lazily=True) as snapshot:
        check(known.standing(snapshot, ref, Moment(7))[1], ROWS, (7, 0))
        assert snapshot.lsn == lsn


def test_a_tag_that_is_deleted_is_not_found(view):
    """However well it was known."""
    view.hold("X", ROWS)
    known, ref = Prepared(), TagRef(TagName("X"))
    for _ in range(3):
        ask(view, known, ref, (3, 0))
    view.delete("X")
    with pytest.raises(NotFound):
        ask(view, known, ref, (3, 0))


def test_few_references_are_remembered(view, monkeypatch):
    """What was asked about longest ago is forgotten."""
    monkeypatch.setattr(prepared, "REMEMBERED", 2)
    known = Prepared()
    for tag in ("A", "B", "C"):
        view.hold(tag, {})
        ask(view, known, TagRef(TagName(tag)), (0, 0))
    assert [ref.name for ref, _ in known._known] == ["B", "C"]


# a large content --------------------------------------------------------------------------------


@SETTINGS
@given(content=contents(), moment=MOMENTS)
def test_a_file_answers_as_brute_force_does(view, files, content, moment):
    """What was built from the view, page by page."""
    ref = TagRef(TagName(f"T{len(view.buffer.lines)}"))
    view.hold(ref.name, content)
    build(view.database, files, ref, wanted := named(view, ref))
    check(files.open(wanted).at(Moment(*moment)), content, moment)


def test_pages_are_put_together(view, files, monkeypatch):
    """Timelines of more than a page, of just a page, and of none."""
    monkeypatch.setattr("datastore_logic.view.slicer.PAGE", 4)
    rows = {"Beam": ROWS["Beam"][:10], "Field": ROWS["Field"][:4], "Gain": []}
    view.hold("X", rows)
    ref = TagRef(TagName("X"))
    build(view.database, files, ref, wanted := named(view, ref))
    for at in range(12):
        check(files.open(wanted).at(Moment(at)), rows, (at, 0))


def test_a_large_tag_is_answered_from_its_file(view, files, monkeypatch, unprepared):
    """Once there is one, SQLite is not asked."""
    large(monkeypatch)
    ref, _ = sliced(view, files)
    unprepared()
    check(ask(view, Prepared(files), ref, (7, 5)), ROWS, (7, 5))


def test_a_file_is_asked_for_when_it_is_worth_it(view, files, monkeypatch):
    """And not before a content was asked about often enough for its size."""
    large(monkeypatch)
    monkeypatch.setattr(prepared, "WORTH_A_FILE", 20)
    view.hold("X", ROWS)
    wanted = []
    known = Prepared(files, lambda *told: wanted.append(told))
    for _ in range(3):
        assert wanted == []
        ask(view, known, ref := TagRef(TagName("X")), (3, 0))
    assert wanted == [(ref, named(view, ref))]


def test_frozen_content_and_clones_share_one_edition(view):
    """They are the same rows, so one file serves them all."""
    view.hold("X", ROWS)
    view.freeze("X", MARK)
    view.clone("X", "Y")
    editions = {named(view, TagRef.parse(name)) for name in ("X", f"X@{MARK}", "Y")}
    assert len(editions) == 1


def test_slices_of_what_changes_meanwhile_are_thrown_away(view, files):
    """Rows of two states are never put together."""
    view.hold("X", ROWS)
    ref = TagRef(TagName("X"))
    wanted = named(view, ref)
    view.change("X", ROWS, {"Beam": []})
    with pytest.raises(MovedOn):
        build(view.database, files, ref, wanted)
    assert files.open(wanted) is None


def test_a_change_while_slices_are_made_is_noticed(view, files, monkeypatch):
    """Also one that comes when half of the rows are read."""
    monkeypatch.setattr("datastore_logic.view.slicer.PAGE", 4)
    view.hold("X", ROWS)
    ref = TagRef(TagName("X"))
    wanted = named(view, ref)
    write, half = files.write, []

    def interrupted(edition, pieces):
        half.append(next(pieces))
        view.change("X", ROWS, {"Beam": []})
        return write(edition, pieces)

    monkeypatch.setattr(files, "write", interrupted)
    with pytest.raises(MovedOn):
        build(view.database, files, ref, wanted)
    assert half
    assert files.open(wanted) is None


def test_slices_that_disagree_with_the_view_are_not_published(view, files, monkeypatch):
    """A defect of ours, or of the disk, answers nobody."""
    view.hold("X", ROWS)
    ref = TagRef(TagName("X"))
    wrong = slices.changes
    monkeypatch.setattr(
        slices, "changes", lambda number, kind, rows: wrong(number, kind, list(rows)[1:])
    )
    with pytest.raises(Damaged, match="disagree"):
        build(view.database, files, ref, named(view, ref))
    assert files.open(named(view, ref)) is None


def test_a_damaged_file_is_deleted_and_sqlite_answers(view, files, monkeypatch, tmp_path):
    """Whichever byte of it was changed."""
    large(monkeypatch)
    ref, wanted = sliced(view, files)
    path = tmp_path / "slices" / f"{wanted}.slices"
    sound = path.read_bytes()
    for at in range(0, len(sound), 97):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        known = Prepared(files)
        for moment in range(0, 21, 4):
            check(ask(view, known, ref, (moment, 0)), ROWS, (moment, 0))
    path.write_bytes(sound[:-1])
    assert files.open(wanted) is None
    assert not path.exists()


def test_slices_made_of_an_earlier_state_are_deleted_with_the_next(view, files, tmp_path):
    """What nobody can ask for any more takes no room."""
    ref, old = sliced(view, files)
    view.change("X", ROWS, {"Beam": []})
    build(view.database, files, ref, new := named(view, ref))
    assert [path.stem for path in tmp_path.glob("slices/*.slices")] == [new]
    assert old != new


def test_room_is_made_by_what_was_used_longest_ago(view, tmp_path):
    """The bound holds for all files together."""
    one = sliced(view, SliceFiles(tmp_path / "slices", 1 << 20), "A")[1]
    size = (tmp_path / "slices" / f"{one}.slices").stat().st_size
    files = SliceFiles(tmp_path / "slices", 2 * size + 100)
    two = sliced(view, files, "B")[1]
    files.note_use(one)
    three = sliced(view, files, "C")[1]
    assert {path.stem for path in tmp_path.glob("slices/*.slices")} == {one, three}
    assert two not in {one, three}


def test_slices_larger_than_they_may_be_are_not_kept(view, tmp_path):
    """Nor is anything left of them."""
    with pytest.raises(NoRoom):
        sliced(view, SliceFiles(tmp_path / "slices", 100))
    assert [path.name for path in (tmp_path / "slices").iterdir()] == ["lock"]


def test_another_ledger_is_another_edition(view):
    """What was made of a ledger that is no more answers for none that follows."""
    view.hold("X", ROWS)
    before = named(view, TagRef(TagName("X")))
    with sqlite3.connect(view.path) as connection:
        connection.execute("UPDATE position SET ledger = 'another'")
    connection.close()
    assert named(view, TagRef(TagName("X"))) != before
