"""Who may not see a tag is told by the view what they would be told if it had never been there."""

import re
import sqlite3
from importlib import resources
from random import Random

import pytest
from ledger_view import STREAM, LedgerView, changed, iov
from seeing import seeing
from view_oracle import NAMES, Oracle

from datastore_logic.access import sight as sight_module
from datastore_logic.access.roles import Grant, Role, TagPattern
from datastore_logic.access.sight import Sight, sight_of
from datastore_logic.domain.events import (
    IovCreated,
    ListAttached,
    ListCreated,
    ListDetached,
    TagChanged,
    TagCloned,
    TagCreated,
    TagDeleted,
    TagFreezeProposed,
    TagFrozen,
)
from datastore_logic.domain.moment import Moment
from datastore_logic.domain.tags import PayloadTypeName, TagName, TagRef, TagState
from datastore_logic.errors import NotFound
from datastore_logic.view import catalogue
from datastore_logic.view.catalogue import IOVS, LISTS, TAGS, TYPES, Page
from datastore_logic.view.contents import find_content
from datastore_logic.view.database import Database
from datastore_logic.view.history import history, last_called
from datastore_logic.view.iovs import find_iov
from datastore_logic.view.lists import count_lists, find_list, find_type, lists_of, types
from datastore_logic.view.prepared import Prepared
from datastore_logic.view.resolve import resolve
from datastore_logic.view.sight import BY_TIMELINE, LIMITED, OF_NO_TAG
from datastore_logic.view.tags import count_tags, find_tag, newest_tags, tag_named, tags

MARK = "ab" * 32
HIDDEN, SHOWN, ABSENT = TagName("hidden"), TagName("shown"), TagName("absent")


@pytest.fixture
def view(tmp_path):
    """A view with a tag that is shown and one that is hidden, each with a list of one IOV."""
    made = LedgerView(tmp_path / "view.sqlite")
    for name in (HIDDEN, SHOWN):
        made.add(TagCreated(name))
        made.add(changed("Beam", name, iov(5, name=f"of-{name}")))
    yield made
    made.close()


def refusal(view, ask):
    """Return the words in which a look-up is refused to who sees `shown` only."""
    with seeing("shown"), view.read() as snapshot, pytest.raises(NotFound) as caught:
        ask(snapshot)
    return str(caught.value), caught.value.code


def test_each_table_is_limited_or_need_not_be():
    """A table that is added to the schema must be put where it belongs."""
    schema = resources.files("datastore_logic.view").joinpath("schema.sql").read_text()
    tables = set(re.findall(r"^CREATE TABLE (\w+)", schema, re.MULTILINE))
    assert {*LIMITED, *BY_TIMELINE, *OF_NO_TAG} == tables
    assert not LIMITED.keys() & (BY_TIMELINE | OF_NO_TAG)


def test_no_limited_table_has_a_row_of_a_hidden_tag(view):
    """Not even to who knows the ids by which other rows would have led there."""
    view.add(TagFreezeProposed(HIDDEN, MARK))
    view.add(TagFrozen(HIDDEN, MARK))
    view.add(TagChanged(HIDDEN, TagState.UNLOCKED, "so"))
    view.add(changed("Beam", HIDDEN, iov(5, name="newer"), list_id=1, detached=[5]))

    def counted():
        with view.read() as snapshot:
            query = "SELECT count(*) FROM {}"
            return {
                table: snapshot.connection.execute(query.format(table)).fetchone()[0]
                for table in LIMITED
            }

    assert all(counted().values())
    with seeing("nothing"):
        assert not any(counted().values())


LOOK_UPS = {
    "find_tag": find_tag,
    "content": lambda snapshot, name: find_content(snapshot, TagRef(name)),
    "content at an LSN": lambda snapshot, name: find_content(snapshot, TagRef(name, lsn=4)),
    "content by fingerprint": lambda s, name: find_content(s, TagRef(name, MARK)),
    "resolution": lambda snapshot, name: resolve(snapshot, TagRef(name), Moment(5)),
    "history": lambda snapshot, name: history(snapshot, last_called(snapshot, name)),
}


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_hidden_tag_is_refused_as_one_that_never_was(view, look_up):
    """In the same words but for the name, under the same code."""
    view.add(TagFrozen(HIDDEN, MARK))
    ask = LOOK_UPS[look_up]
    words, code = refusal(view, lambda snapshot: ask(snapshot, HIDDEN))
    assert (words.replace("hidden", "absent"), code) == refusal(view, lambda s: ask(s, ABSENT))
    with view.read() as snapshot:
        ask(snapshot, HIDDEN)  # is there


def test_lists_and_iovs_of_a_hidden_tag_are_not_found(view):
    """Neither by their ids nor by their names; those of another tag are."""
    with seeing("shown"), view.read() as snapshot:
        for find in (find_list, find_iov):
            with pytest.raises(NotFound):
                find(snapshot, 1)
        assert lists_of(snapshot, 1) == []
        assert find_list(snapshot, 2).tag == SHOWN
        assert find_iov(snapshot, 2).row.payload.name == "of-shown"


def test_what_is_listed_leaves_hidden_tags_out(view):
    """Tags, the newest ones, their number, and every shelf with the counts of its pages."""
    with seeing("shown"), view.read() as snapshot:
        assert [row.name for row in tags(snapshot)] == [SHOWN]
        assert [row.name for row in newest_tags(snapshot, 10)] == [SHOWN]
        assert count_tags(snapshot) == 1
        for shelf in (TAGS, LISTS, IOVS):
            lines = [*catalogue.everything(snapshot, shelf)]
            assert catalogue.browse(snapshot, shelf, Page()) == (1, lines)
            assert catalogue.browse(snapshot, shelf, Page(search="hidden"))[0] == 0


def test_payload_types_are_seen_by_all(view):
    """They decide no result; and one that a hidden tag uses is in use."""
    with seeing("nothing"), view.read() as snapshot:
        assert [row.name for row in types(snapshot)] == ["Beam"]
        assert count_lists(snapshot, find_type(snapshot, "Beam").id) == 2


def test_what_was_never_in_a_tag_is_seen_by_all(view):
    """A new list, a new IOV."""
    view.add(ListCreated(PayloadTypeName("Beam")))
    view.add(IovCreated(iov(7, name="loose")))
    with seeing("nothing"), view.read() as snapshot:
        assert [line.id for line in catalogue.everything(snapshot, LISTS)] == [3]
        assert [line.name for line in catalogue.everything(snapshot, IOVS)] == ["loose"]


def test_what_came_out_of_a_hidden_tag_stays_hidden(view):
    """A list that was detached, with what it loses then, and an IOV that a newer one displaced."""
    view.add(changed("Beam", HIDDEN, iov(5, name="newer"), list_id=1, detached=[5]))
    view.add(ListDetached(1))
    view.add(changed("Beam", None, iov(5, name="newest"), list_id=1, detached=[5]))
    with seeing("shown"), view.read() as snapshot:
        assert [line.tag for line in catalogue.everything(snapshot, LISTS)] == [SHOWN]
        assert [line.name for line in catalogue.everything(snapshot, IOVS)] == ["of-shown"]
    with seeing("hidden"), view.read() as snapshot:
        assert [line.id for line in catalogue.everything(snapshot, LISTS)] == [1]
        assert {line.name for line in catalogue.everything(snapshot, IOVS)} == {
            *("of-hidden", "newer", "newest")
        }


def test_a_list_goes_with_the_tag_that_has_it_now(view):
    """Moved from the hidden tag to the other, it is seen there, and after it left that one."""
    view.add(ListDetached(2))
    view.add(ListAttached(1, SHOWN))
    for _ in range(2):
        with seeing("shown"), view.read() as snapshot:
            assert find_list(snapshot, 1).id == 1
        view.add(ListDetached(1))


def test_a_deleted_tag_is_hidden_by_its_last_name(view):
    """Its history and what it held at an LSN are for who could read it."""
    view.add(TagDeleted(HIDDEN))
    ref = TagRef(HIDDEN, lsn=4)
    assert refusal(view, lambda s: find_content(s, ref))[1] == "tag_not_found"
    assert refusal(view, lambda s: last_called(s, HIDDEN))[1] == "tag_not_found"
    with seeing("hidden"), view.read() as snapshot:
        assert find_content(snapshot, ref).lists
        assert history(snapshot, last_called(snapshot, HIDDEN))


# the streaming buffer's tag is renamed when the buffer is cleaned


@pytest.fixture
def archived(view):
    """A view whose streamed tag is called otherwise by now, and that name."""
    view.add(changed("strain", STREAM, iov(5)))
    view.append("buffer.cleaned", {"archive": "archive"})
    with view.read() as snapshot:
        return view, next(row for row in tags(snapshot) if row.name.startswith("stream-"))


@pytest.mark.parametrize("pattern", ["stream", "stream-.*"])
def test_a_renamed_tag_is_not_opened_by_a_name_alone(archived, pattern):
    """Who asks by the old name needs to see it under both."""
    view, row = archived
    for ref in (TagRef(STREAM, lsn=5), TagRef(STREAM, row.fingerprint)):
        with seeing(pattern), view.read() as snapshot, pytest.raises(NotFound):
            find_content(snapshot, ref)
        with seeing("stream.*"), view.read() as snapshot:
            assert find_content(snapshot, ref).lists


def test_a_renamed_tag_is_seen_under_its_present_name(archived):
    """Its content, its lists and its history; not by who sees the old name only."""
    view, row = archived
    with seeing("stream-.*"), view.read() as snapshot:
        assert find_tag(snapshot, row.name)
        assert find_content(snapshot, TagRef(TagName(row.name), row.fingerprint)).lists
        assert history(snapshot, last_called(snapshot, row.name))
        with pytest.raises(NotFound):
            last_called(snapshot, STREAM)
    with seeing("stream"), view.read() as snapshot:
        assert tag_named(snapshot, row.name) is None
        assert not [*catalogue.everything(snapshot, IOVS)]


def test_a_clone_does_not_say_what_it_is_a_clone_of(view):
    """Not to who does not see that; also when it is called otherwise by now."""
    view.add(TagCloned(HIDDEN, TagName("shown2")))
    view.add(changed("strain", STREAM, iov(5)))
    view.add(TagCloned(STREAM, TagName("shown3")))
    view.append("buffer.cleaned", {"archive": "archive"})

    def sources(pattern):
        with seeing(pattern), view.read() as snapshot:
            return [
                history(snapshot, last_called(snapshot, name))[-1].about.get("source")
                for name in ("shown2", "shown3")
            ]

    assert sources("shown.*") == [None, None]
    assert sources("shown.*|stream") == [None, None]
    assert sources("shown.*|hidden|stream.*") == ["hidden", "stream"]


# whose sight it is


def grant(pattern, role=Role.READER):
    """Return a grant of a role."""
    return Grant(role, TagPattern.parse(pattern))


def test_every_role_reads(view):
    """Whoever may write a tag may read it."""
    for role in Role:
        assert sight_of([grant("a.*", role)])("ab")
        assert sight_of([grant(".*", role)]) is None


def test_who_has_no_grant_sees_nothing():
    """Not even a tag without a name."""
    assert not sight_of([])("")


@pytest.mark.parametrize("name", ["prompt", "xprompt", "prompt\n", "promptx", "PROMPT", ""])
def test_a_pattern_covers_whole_names(name):
    """Neither a part of one, nor one with a line end behind."""
    assert sight_of([grant("prompt")])(name) == (name == "prompt")


def test_equal_sights_have_one_mark_and_others_have_others():
    """However their grants are told: the order and the role do not matter to what is seen."""
    one = sight_of([grant("a"), grant("b")])
    assert one.mark == sight_of([grant("b", Role.ADMIN), grant("a"), grant("a")]).mark
    assert (
        len({sight_of([grant(text)]).mark for text in ("a", "b", "a|b", "a\\nb")} | {one.mark}) == 5
    )


def test_a_sight_remembers_so_many_names(monkeypatch):
    """Who asks for ever other names does not fill the memory."""
    monkeypatch.setattr(sight_module, "REMEMBERED", 10)
    seen = Sight((grant("1.*"),))
    assert [seen(str(n)) for n in range(200)] == [str(n).startswith("1") for n in range(200)]
    assert len(seen._known) <= 10


# what is kept from one request to the next


def test_a_connection_shows_nothing_to_whom_it_was_not_lent(view):
    """What outlives its request by mistake sees no tag at all."""
    with seeing("shown"), view.read() as snapshot:
        connection = snapshot.connection
        assert connection.execute("SELECT count(*) FROM global_tag").fetchone() == (1,)
    assert connection.execute("SELECT count(*) FROM global_tag").fetchone() == (0,)


def test_a_connection_does_not_let_its_limits_be_taken_away(view):
    """It is for reading, the temporary views included."""
    with seeing("shown"), view.read() as snapshot, pytest.raises(sqlite3.OperationalError):
        snapshot.connection.execute("DROP VIEW temp.global_tag")


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize("ref", [TagRef(HIDDEN), TagRef(HIDDEN, MARK)])
def test_what_a_process_has_prepared_is_for_who_may_see_it(view, tmp_path, ref, lazily):
    """One that sees everything asks first, and often; then one that does not."""
    view.add(TagFrozen(HIDDEN, MARK))
    database = Database(tmp_path / "view.sqlite", STREAM, Prepared())

    def ask():
        with database.snapshot(lazily=lazily) as snapshot:
            return resolve(snapshot, ref, Moment(5))

    for _ in range(20):
        told = ask()
    with seeing("shown"), pytest.raises(NotFound):
        ask()
    with seeing("hidden"):
        for _ in range(20):
            limited = ask()
    assert [*limited.payloads] == [*told.payloads]
    assert (limited.tag, limited.lsn) == (told.tag, told.lsn)
    database.close()


def test_of_equal_contents_each_is_answered_from_the_one_they_see(view, tmp_path):
    """Two streams were frozen with the same content under one name; only the second is seen."""
    for _ in range(2):
        view.add(changed("strain", STREAM, iov(5)))
        view.append("buffer.cleaned", {"archive": "archive"})
    with view.read() as snapshot:
        first, second = (row for row in tags(snapshot) if row.name.startswith("stream-"))
    assert first.fingerprint == second.fingerprint
    ref = TagRef(STREAM, first.fingerprint)
    database = Database(tmp_path / "view.sqlite", STREAM, Prepared())
    for pattern, row in [(".*", first), (f"stream|{re.escape(second.name)}", second)] * 2:
        with seeing(pattern), database.snapshot(lazily=True) as snapshot:
            assert resolve(snapshot, ref, Moment(5)).tag.id == row.id
    database.close()


# whatever happens


@pytest.fixture(scope="module", params=range(12))
def lived(request, tmp_path_factory):
    """Return a view that went through random things, and a random pattern of its tags."""
    rng = Random(request.param)  # noqa: S311 - chance that can be repeated
    oracle = Oracle(rng)
    view = LedgerView(tmp_path_factory.mktemp("view") / "view.sqlite")
    for _ in range(50):
        view.add(oracle.step())
    yield view, "|".join(rng.sample(NAMES, rng.randrange(1, len(NAMES))))
    view.close()


def test_each_catalogue_is_what_is_left_without_hidden_tags(lived):
    """Every line that belongs to no hidden tag, and no other."""
    view, pattern = lived
    seen = pattern.split("|")
    origins = dict(view.rows("SELECT id, coalesce(tag_id, from_tag) FROM payload_list"))
    origins |= {-one: tag for one, tag in view.rows("SELECT id, from_tag FROM loose_iov")}
    names = dict(view.rows("SELECT tag_id, name FROM tag_version"))

    def is_seen(origin):
        return origin is None or names[origin] in seen

    with view.read() as snapshot:
        all_tags, all_types, lists, iovs = (
            [*catalogue.everything(snapshot, shelf)] for shelf in (TAGS, TYPES, LISTS, IOVS)
        )
    left = (
        (TAGS, [line for line in all_tags if line.name in seen]),
        (TYPES, all_types),
        (LISTS, [line for line in lists if is_seen(origins[line.id])]),
        (IOVS, [line for line in iovs if is_seen(origins.get(line.list_id or -line.id))]),
    )
    with seeing(pattern), view.read() as snapshot:
        for shelf, lines in left:
            assert [*catalogue.everything(snapshot, shelf)] == lines
            for number in (1, 2):
                page = Page(number=number, size=3)
                count, told = catalogue.browse(snapshot, shelf, page)
                assert (count, told) == (len(lines), lines[3 * number - 3 : 3 * number])


def test_each_state_is_told_to_who_sees_the_tag_only(lived):
    """At every LSN: to them the same as to who sees everything, to others nothing."""
    view, pattern = lived
    refs = [TagRef(TagName(name), lsn=lsn) for name in NAMES for lsn in range(1, 51)]
    refs += [TagRef(TagName(name)) for name in NAMES]

    def told(ref):
        with view.read() as snapshot:
            try:
                return find_content(snapshot, ref)
            except NotFound as reason:
                return str(reason)

    everything = [told(ref) for ref in refs]
    with seeing(pattern):
        for ref, content in zip(refs, everything, strict=True):
            is_seen = ref.name in pattern.split("|")
            assert told(ref) == (content if is_seen else f"No tag {ref}.")
