"""When tokens were last used: to the minute, merged in one document, at nobody's cost."""

from __future__ import annotations

import threading

import orjson
import pytest
from ledger_view import STREAM, LedgerView
from logic_fakes import FakeBuffer
from servers import eventually

from datastore_logic.domain.events import TokenMade, TokenRevoked
from datastore_logic.domain.tags import TokenName
from datastore_logic.services import token_use
from datastore_logic.services.token_use import DOCUMENT, TokenUse
from datastore_logic.view.database import Database

NOON = 1_795_262_400
ONE, TWO = "000000000001", "000000000002"


@pytest.fixture
def buffer():
    """Return a databuffer in memory."""
    return FakeBuffer()


@pytest.fixture
def database(tmp_path):
    """A view that is not there yet."""
    found = Database(tmp_path / "view.sqlite", STREAM)
    yield found
    found.close()


@pytest.fixture
def use(buffer, database):
    """What one process knows."""
    return TokenUse(buffer, database, lambda: NOON)


def written(buffer):
    """Return what the document says."""
    return orjson.loads(buffer.documents[DOCUMENT])["used"]


def test_a_use_is_kept_to_the_minute(buffer, use):
    """And is known in the process that saw it before it is written."""
    use.note(ONE, NOON + 59.9)
    assert use.last() == {ONE: NOON}
    assert use.save()
    assert written(buffer) == {ONE: NOON}


def test_of_two_times_the_later_one_stays(buffer, database, use):
    """Whichever process writes last."""
    other = TokenUse(buffer, database)
    use.note(ONE, NOON + 600)
    other.note(ONE, NOON)
    other.note(TWO, NOON)
    assert use.save()
    assert other.save()
    assert written(buffer) == use.last() == other.last() == {ONE: NOON + 600, TWO: NOON}


def test_a_clock_that_goes_back_takes_nothing_back(use):
    """The latest use stays the latest."""
    use.note(ONE, NOON + 60)
    use.note(ONE, NOON)
    assert use.last() == {ONE: NOON + 60}


def test_where_nothing_changed_nothing_is_written(buffer, use):
    """Neither without a use nor with one that another process has written."""
    assert use.save()
    assert not buffer.documents
    use.note(ONE, NOON)
    buffer.documents[DOCUMENT] = b'{"used":{"000000000001":1795262400}}'
    before = buffer.documents[DOCUMENT]
    assert use.save()
    assert buffer.documents[DOCUMENT] is before


def test_while_the_databuffer_is_away_it_is_no_error_but_later(buffer, use):
    """What was known is told, what was noted is kept."""
    buffer.documents[DOCUMENT] = b'{"used":{"000000000002":1795262400}}'
    use.last()
    buffer.away = True
    use.note(ONE, NOON)
    assert not use.save()
    assert use.last() == {ONE: NOON, TWO: NOON}
    buffer.away = False
    assert use.save()
    assert written(buffer) == {ONE: NOON, TWO: NOON}


def test_who_is_overtaken_reads_again(buffer, database, use):
    """A write in between is not lost."""
    put, other = buffer.put_state, TokenUse(buffer, database)
    other.note(TWO, NOON)

    def overtaken(*args):
        buffer.put_state = put
        assert other.save()
        return put(*args)

    buffer.put_state = overtaken
    use.note(ONE, NOON)
    assert use.save()
    assert written(buffer) == {ONE: NOON, TWO: NOON}


def test_who_is_always_overtaken_tries_again_later(buffer, use):
    """And has forgotten nothing."""
    put = buffer.put_state
    buffer.put_state = lambda *_: False
    use.note(ONE, NOON)
    assert not use.save()
    buffer.put_state = put
    assert use.save()
    assert written(buffer) == {ONE: NOON}


def test_processes_that_write_at_once_lose_nothing(buffer, database):
    """Eight of them, each with its own token and one they share."""
    all_of_them = [TokenUse(buffer, database) for _ in range(8)]
    threads = [threading.Thread(target=use.save) for use in all_of_them]
    for number, use in enumerate(all_of_them):
        use.note(f"{number:012x}", NOON)
        use.note("shared", NOON + 60 * number)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(use.save() for use in all_of_them)
    assert written(buffer) == {f"{n:012x}": NOON for n in range(8)} | {"shared": NOON + 420}


def test_no_more_is_kept_than_there_is_room_for(buffer, use, monkeypatch):
    """Of more tokens, those that were used last."""
    monkeypatch.setattr(token_use, "MOST", 2)
    for number in range(4):
        use.note(f"{number:012x}", NOON + 60 * number)
    assert use.save()
    assert set(written(buffer)) == set(use.last()) == {f"{n:012x}" for n in (2, 3)}


def test_tokens_that_are_long_gone_are_forgotten(buffer, tmp_path, use):
    """Revoked or expired months ago; one that this replica has not heard of stays."""
    view = LedgerView(tmp_path / "view.sqlite")
    long_ago, far = 1000, 2**40
    for token, expires in ((ONE, long_ago), (TWO, far)):
        view.add(TokenMade(token, TokenName(token), "0f" * 32, (), expires, "alice"))
    view.add(TokenRevoked(TWO))  # the day before
    for token in (ONE, TWO, "unheard"):
        use.note(token, NOON)
    assert use.save()
    assert set(written(buffer)) == {TWO, "unheard"}
    view.close()


@pytest.mark.parametrize("content", [b"[]", b"3", b'{"used":3}', b'{"used":{"x":"y"}}', b"null"])
def test_a_document_that_is_none_of_ours_is_begun_anew(buffer, use, content):
    """Nobody is kept from working by it."""
    buffer.documents[DOCUMENT] = content
    assert use.last() == {}
    use.note(ONE, NOON)
    assert use.save()
    assert written(buffer) == {ONE: NOON}


def test_a_thread_writes_it_down_and_once_more_at_the_end(buffer, use):
    """The first use at once, what came in the next half minute when the worker ends."""
    use.start()
    use.note(ONE, NOON)
    eventually(lambda: DOCUMENT in buffer.documents)
    use.note(TWO, NOON)
    use.stop()
    assert written(buffer) == {ONE: NOON, TWO: NOON}


def test_a_thread_that_was_never_started_is_not_waited_for(use):
    """An application that serves nobody stops like any other."""
    use.stop()
