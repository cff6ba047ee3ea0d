"""The logic tier's secrets: by variable or file, one or two, replaced at any time, never shown."""

import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastore_logic.access.secret import LOOKED_AT, Secret, SecretFile
from datastore_logic.errors import BadConfiguration

OLD = "old-0123456789abcdef0123456789abcdef"
NEW = "new-0123456789abcdef0123456789abcdef"
THIRD = "third-0123456789abcdef0123456789abcd"


class Clock:
    """A clock that stands until it is moved."""

    now = 100.0

    def __call__(self):
        """Return the time."""
        return self.now


@pytest.fixture
def clock():
    """Return a clock that the test moves."""
    return Clock()


@pytest.fixture
def file(tmp_path):
    """Return a file with one secret."""
    path = tmp_path / "secret"
    path.write_text(f"{OLD}\n")
    return path


@pytest.fixture
def secret(file, clock):
    """Return the secret of that file."""
    return SecretFile("JWT_SECRET_FILE", file, clock)


def later(clock):
    """Let so much time pass that the file is looked at again."""
    clock.now += LOOKED_AT


def test_a_variable_gives_one_value():
    """Whatever commas are in it, unless a comma is what separates."""
    assert Secret.from_environ({"S": OLD}, "S").current() == (OLD,)
    assert Secret.from_environ({"S": f"{OLD},x"}, "S").current() == (f"{OLD},x",)


def test_a_variable_gives_two_where_a_separator_is_known():
    """The first is the newest: it is the one that is sent."""
    assert Secret.from_environ({"S": f"{NEW}, {OLD}"}, "S", separator=",").current() == (NEW, OLD)


@pytest.mark.parametrize("environ", [{}, {"S": ""}, {"S": "", "S_FILE": ""}])
def test_nothing_said_is_no_secret(environ):
    """An empty variable is as good as none."""
    assert Secret.from_environ(environ, "S") is None


def test_a_file_gives_a_value_a_line(file):
    """Empty lines and the ends of lines are no part of it."""
    file.write_text(f"\n{NEW}\r\n\n{OLD}\n")
    assert Secret.from_environ({"S_FILE": str(file)}, "S").current() == (NEW, OLD)


@pytest.mark.parametrize(
    "value",
    ["tiny", OLD[:31], f"{OLD},{OLD[:31]}", f"{OLD},{NEW},{THIRD}", f"{OLD},", f"{OLD} {NEW}",
     f"{OLD}\u00e9", "x" * 1001, f"{OLD}\x00"],
)  # fmt: skip
def test_what_cannot_be_a_secret_is_refused_without_being_shown(value, file):
    """The words name the variable and what is wrong, by variable and by file."""
    file.write_text("\n".join(value.split(",")) or "\n")
    cases = [({"S": value}, "S "), ({"S_FILE": str(file)}, "S_FILE=")]
    for environ, named in cases:
        if value.endswith(",") and "S_FILE" in environ:
            continue  # an empty line is none
        with pytest.raises(BadConfiguration, match=f"^{named}") as refused:
            Secret.from_environ(environ, "S", separator=",")
        assert value not in str(refused.value)
        assert OLD not in str(refused.value)
        assert refused.value.__cause__ is None


def test_both_variables_at_once_are_refused(file):
    """Nobody knows which was meant."""
    with pytest.raises(BadConfiguration, match="S and S_FILE"):
        Secret.from_environ({"S": OLD, "S_FILE": str(file)}, "S")


def test_a_file_that_is_not_there_is_refused_at_the_start(tmp_path):
    """So is a folder, and a pipe that could be read only once."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "none", tmp_path, tmp_path / "pipe"):
        with pytest.raises(BadConfiguration, match=r"^S_FILE="):
            Secret.from_environ({"S_FILE": str(path)}, "S")


def test_a_new_content_is_taken_over(secret, file, clock):
    """No restart is needed to change a secret."""
    file.write_text(f"{NEW}\n{OLD}\n")
    later(clock)
    assert secret.current() == (NEW, OLD)


def test_the_same_length_within_the_same_tick_is_noticed(secret, file, clock):
    """What counts is the content, not the time that a file system writes beside it."""
    kept = file.stat()
    file.write_text(f"{NEW}\n")
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    later(clock)
    assert secret.current() == (NEW,)


def test_a_file_that_is_replaced_by_a_link_is_followed(secret, file, clock, tmp_path):
    """Kubernetes changes a mounted secret by turning a link."""
    (tmp_path / "..data").write_text(NEW)
    (tmp_path / "link").symlink_to(tmp_path / "..data")
    (tmp_path / "link").replace(file)
    later(clock)
    assert secret.current() == (NEW,)


def test_the_file_is_looked_at_once_a_second_at_most(secret, file, clock):
    """A thousand requests a second must not read it a thousand times."""
    later(clock)
    assert secret.current() == (OLD,)
    file.write_text(NEW)
    clock.now += LOOKED_AT / 2
    assert secret.current() == (OLD,)
    clock.now += LOOKED_AT / 2
    assert secret.current() == (NEW,)


@pytest.mark.parametrize("bad", ["", "tiny\n", f"{NEW}\ntiny\n", "\udcff" * 40, None])
def test_a_bad_new_content_changes_nothing_and_is_logged_once(secret, file, clock, caplog, bad):
    """The old goes on, the log says which file, and no value is in it."""
    if bad is None:
        file.unlink()
    else:
        file.write_bytes(bad.encode(errors="surrogateescape"))
    for _ in range(3):
        later(clock)
        assert secret.current() == (OLD,)
    (said,) = caplog.records
    assert (said.levelno, "JWT_SECRET_FILE" in said.getMessage()) == (logging.ERROR, True)
    assert not any(value in caplog.text for value in (OLD, NEW, "tiny"))


def test_a_good_content_after_a_bad_one_is_taken_over(secret, file, clock):
    """Also if it is the first one again."""
    for content, held in (("bad", OLD), (NEW, NEW), ("bad", NEW), (OLD, OLD)):
        file.write_text(content)
        later(clock)
        assert secret.current() == (held,)


def test_any_of_its_values_matches_and_nothing_else():
    """An old and a new one hold at once while callers change over."""
    secret = Secret.from_environ({"S": f"{NEW},{OLD}"}, "S", separator=",")
    assert secret.matches(NEW)
    assert secret.matches(OLD)
    for wrong in ("", NEW[:-1], f"{NEW}x", NEW.upper(), f"{NEW},{OLD}", "\udcff", "\u00e9" * 40):
        assert not secret.matches(wrong)


@given(st.text(alphabet=st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=32))
def test_no_secret_is_shown_by_what_prints_it(value):
    """A configuration may be logged as it is."""
    if len(value) <= 1000:
        secret = Secret.from_environ({"JWT_SECRET": value}, "JWT_SECRET")
        assert secret.current() == (value,)
        assert f"{secret} {secret!r}" == "<JWT_SECRET> <JWT_SECRET>"
