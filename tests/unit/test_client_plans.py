"""How `condstore up` would start the tiers, and what it refuses before it does."""

import importlib.util
import socket
import sys

import pytest

from condstore.config import Settings
from condstore.errors import TierFailed, UsageError
from condstore.up import Address, plans


def test_the_commands_are_those_anybody_would_type():
    """The databuffer as a module, the logic tier under gunicorn with its own settings."""
    buffer, logic = plans({})
    assert buffer.command == (sys.executable, "-m", "databuffer")
    assert logic.command[:3] == (sys.executable, "-m", "gunicorn")
    assert logic.command[4].endswith("datastore_logic/gunicorn.conf.py")
    assert logic.command[5] == "datastore_logic.app:create_app()"
    assert buffer.address.url == "http://127.0.0.1:8080"
    assert logic.address.url == "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    ("servurl", "url"),
    [
        (":8090", "http://127.0.0.1:8090"),
        ("127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("localhost:8090", "http://localhost:8090"),
        ("[::1]:8090", "http://[::1]:8090"),
    ],
)
def test_the_logic_tier_is_told_where_the_databuffer_is(servurl, url):
    """DB_BURL follows SERVURL, whatever the environment said before."""
    buffer, logic = plans({"SERVURL": servurl, "DB_BURL": "http://elsewhere/"})
    assert buffer.address.url == url
    assert logic.environ["DB_BURL"] == f"{url}/"


def test_with_a_certificate_both_speak_https():
    """And each is told so of the other."""
    buffer, logic = plans({"TLS_CERT": "/etc/tls/tls.crt", "SERVURL": "conditions.example:8080"})
    assert buffer.address.url == "https://conditions.example:8080"
    assert logic.address.url == "https://127.0.0.1:5000"
    assert logic.environ["DB_BURL"] == "https://conditions.example:8080/"


@pytest.mark.parametrize("grace", ["0", "0.5", "5", "300"])
def test_a_tier_is_not_killed_before_its_own_grace_is_over(grace):
    """However long SHUTDOWN_GRACE lets it finish what it took."""
    for plan in plans({"SHUTDOWN_GRACE": grace}):
        assert plan.grace > float(grace)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"SERVURL": "8080"}, "SERVURL"),
        ({"SHUTDOWN_GRACE": "soon"}, "SHUTDOWN_GRACE"),
        ({"SHUTDOWN_GRACE": "-1"}, "SHUTDOWN_GRACE"),
        ({"SHUTDOWN_GRACE": "nan"}, "SHUTDOWN_GRACE"),
        ({"SERVURL": "host:http"}, "SERVURL"),
        ({"PORT": "0"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"SERVURL": ":5000"}, "SERVURL and PORT both say port 5000"),
    ],
)
def test_a_bad_variable_is_named(environ, message):
    """Before anything is started."""
    with pytest.raises(UsageError, match=message):
        plans(environ)


@pytest.mark.parametrize("variable", ["SERVURL", "PORT"])
def test_a_busy_port_is_one_line_naming_port_and_variable(variable):
    """And what to set in its place."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(TierFailed) as caught:
            Address("127.0.0.1", port, variable).refuse_if_busy()
    message = str(caught.value)
    assert "\n" not in message
    assert f"port {port} is busy" in message
    assert f"{variable}=" in message
    assert str(port + 1) in message


def test_settings_have_defaults_and_refuse_what_is_no_url():
    """An empty variable is as good as none."""
    settings = Settings.from_environ({"CONDSTORE_URL": "", "DB_BURL": ""})
    assert settings.urls == ("http://localhost:5000",)
    assert settings.buffer_url == "http://localhost:8080"
    with pytest.raises(UsageError, match="CONDSTORE_URL='localhost'"):
        Settings.from_environ({"CONDSTORE_URL": "localhost"})
    with pytest.raises(UsageError, match="DB_BURL"):
        Settings.from_environ({"DB_BURL": "ftp://x"})


def test_up_without_the_servers_says_what_to_install(monkeypatch):
    """The library alone was installed: one line, not a traceback of a child process."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "flask" else found(name)
    )
    with pytest.raises(TierFailed, match=r"flask is missing.*pip install 'condstore\[servers\]'"):
        plans({})
