"""The number that tells a process whether what it read of the view is still so."""

import os
import signal
from multiprocessing import get_context

import pytest

from datastore_logic.view import generation
from datastore_logic.view.generation import Generation


@pytest.fixture
def path(tmp_path):
    """Return where the number is kept."""
    return tmp_path / "view.generation"


@pytest.fixture(autouse=True)
def _watchful(monkeypatch):
    """See each time whether the file was replaced."""
    monkeypatch.setattr(generation, "LOOK_AGAIN", 0.0)


def change(path):
    """Change what the number is about."""
    with Generation(path).changing():
        pass


def test_where_nothing_was_ever_written_nothing_is_known(path):
    """Who reads makes no file."""
    assert Generation(path).seen() is None
    assert not path.exists()


def test_each_change_moves_it_on(path):
    """It is never the same again."""
    reader, seen = Generation(path), []
    for _ in range(5):
        change(path)
        seen.append(reader.seen())
    assert None not in seen
    assert len(set(seen)) == 5


def test_while_it_is_changed_it_is_not_known(path):
    """What is read meanwhile may be of before or of after."""
    change(path)
    reader = Generation(path)
    with Generation(path).changing():
        assert reader.seen() is None
    assert reader.seen() is not None


def test_a_change_that_fails_moves_it_on(path):
    """Something may have been written before it failed."""
    change(path)
    reader = Generation(path)
    before = reader.seen()
    with pytest.raises(ValueError, match="failed"), Generation(path).changing():
        raise ValueError("failed")
    assert reader.seen() not in {None, before}


def _killed_while_changing(path):
    with Generation(path).changing():
        os.kill(os.getpid(), signal.SIGKILL)


def test_after_a_killed_writer_it_is_not_known_until_the_next_has_written(path):
    """Nobody can tell whether the killed one had done its work."""
    change(path)
    reader = Generation(path)
    before = reader.seen()
    killed = get_context("spawn").Process(target=_killed_while_changing, args=(path,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert reader.seen() is None
    change(path)
    assert reader.seen() not in {None, before}


def test_a_deleted_file_begins_elsewhere(path):
    """Its numbers are none that the earlier one had, so nothing read under those comes back."""
    change(path)
    reader = Generation(path)
    before = reader.seen()
    path.unlink()
    assert reader.seen() is None
    change(path)
    assert reader.seen() not in {None, before}
