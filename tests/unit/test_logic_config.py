"""The logic tier's settings: defaults, what the environment says, and what it may not say."""

from pathlib import Path

import pytest

from databuffer.config import Config as BufferConfig
from datastore_logic.config import Config, Endpoints
from datastore_logic.errors import BadConfiguration


def test_an_empty_environment_gives_the_defaults():
    """Nothing set, or set to nothing, is the default."""
    assert Config.from_environ({}) == Config()
    assert Config.from_environ({"PORT": "", "VIEW_PATH": "", "STREAM_TAG": ""}) == Config()


@pytest.mark.parametrize(("grace", "seconds"), [("0", 0), ("0.5", 1), ("20", 20)])
def test_a_shutdown_has_the_grace_that_the_databuffer_has(grace, seconds):
    """None at all, or a part of a second, is for both tiers; gunicorn counts whole seconds."""
    environ = {"SHUTDOWN_GRACE": grace}
    assert Config.from_environ(environ).shutdown_grace == seconds
    assert BufferConfig.from_environ(environ).shutdown_grace == float(grace)


def test_every_variable_is_read():
    """Each variable reaches its setting."""
    environ = {
        "DB_BURL": "http://buffer:8080/base/", "VIEW_PATH": "/data/v", "MAX_SIZE": "0",
        "MAX_SEGMENT_BYTES": "7", "STREAM_TAG": "live", "HOST": "::1", "PORT": "0",
        "WEB_CONCURRENCY": "3", "THREADS": "4", "LOG_LEVEL": "DEBUG", "ENDP_STAT": "s",
        "ENDP_DUMP": "/a", "ENDP_DUMPF": "/b", "ENDP_SEND": "/c", "ENDP_DESC": "/d",
        "ENDP_UPD_DESC": "/e", "ENDP_CLEAN": "/f", "BUFFER_TIMEOUT": "1.5", "VIEW_WAIT": "2",
        "SHUTDOWN_GRACE": "9", "CDB_IOV_MODE": "discrete",
    }  # fmt: skip
    endpoints = Endpoints("/s", "/a", "/b", "/c", "/d", "/e", "/f")
    assert Config.from_environ(environ) == Config(
        "http://buffer:8080/base", Path("/data/v"), 0, 7, "live", "::1", 0, 3, 4, "debug",
        endpoints, 1.5, 2.0, 9, "discrete",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_BURL", "buffer:8080"), ("DB_BURL", "ftp://buffer"), ("DB_BURL", "http://b/?x=1"),
        ("DB_BURL", "http://[::1:8080"), ("DB_BURL", "http://b:80800"), ("DB_BURL", "http://b:x"),
        ("PORT", "65536"), ("PORT", "-1"), ("PORT", "5e3"), ("WEB_CONCURRENCY", "0"),
        ("THREADS", "many"), ("MAX_SIZE", "9" * 5000), ("VIEW_WAIT", "nan"), ("VIEW_WAIT", "0"),
        ("BUFFER_TIMEOUT", "soon"), ("SHUTDOWN_GRACE", "-1"), ("STREAM_TAG", "a/b"),
        ("LOG_LEVEL", "loud"), ("ENDP_SEND", "/send?x"), ("CDB_IOV_MODE", "Discrete"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_the_variables_name(name, value):
    """The message names the variable, whatever is wrong with it."""
    with pytest.raises(BadConfiguration, match=name):
        Config.from_environ({name: value})


LONG = "x" * 32


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "data.example.org"])  # noqa: S104
def test_it_listens_on_loopback_only_until_callers_can_be_told_apart(host):
    """Asked to be reached from elsewhere with no authentication it says what to set instead."""
    with pytest.raises(BadConfiguration, match=r"JWT_SECRET, JWT_JWKS or ADMIN_TOKEN, or AUTH=off"):
        Config.from_environ({"HOST": host})
    for given in ({"JWT_SECRET": LONG}, {"ADMIN_TOKEN": LONG}, {"AUTH": "on"}):
        assert Config.from_environ({"HOST": host, **given}).authentication == "on"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_on_loopback_nothing_needs_to_be_set(host):
    """A laptop works with nothing set, and says what it is."""
    assert Config.from_environ({"HOST": host}).authentication == "loopback only"


def test_auth_off_means_off_whatever_else_is_set():
    """Who says that everybody may do all gets that, from elsewhere too."""
    config = Config.from_environ({"HOST": "::", "AUTH": "off", "JWT_SECRET": LONG})
    assert config.authentication == "off"
    assert not config.access.configured


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"JWT_SECRET": "short"}, "JWT_SECRET"),
        ({"ADMIN_TOKEN": "x" * 31}, "ADMIN_TOKEN"),
        ({"BUFFER_TOKEN": f"{LONG},{LONG},{LONG}"}, "BUFFER_TOKEN"),
        ({"JWT_JWKS": "https://iam.example.org/jwks"}, "JWT_ISSUER"),
        (
            {"JWT_JWKS": "http://iam.example.org/", "JWT_ISSUER": "i", "JWT_AUDIENCE": "a"},
            "JWT_JWKS",
        ),
        ({"JWT_LEEWAY": "300.5"}, "JWT_LEEWAY"),
        ({"JWT_LEEWAY": "-0.5"}, "JWT_LEEWAY"),
        ({"HEADER_TIMEOUT": "0"}, "HEADER_TIMEOUT"),
        ({"AUTH": "maybe"}, "AUTH"),
        ({"READS": "nobody"}, "READS"),
        ({"READS": "authenticated"}, "READS"),
        ({"READ_TAGS": "(?!online).*"}, "READ_TAGS"),
        ({"FREEZE_APPROVALS": "2"}, "FREEZE_APPROVALS"),
        ({"FREEZE_APPROVALS": "3"}, "FREEZE_APPROVALS"),
        ({"TLS_CERT": "/nowhere/cert.pem"}, "TLS_CERT"),
        ({"TLS_CERT": __file__}, "TLS_KEY"),
        ({"TRUSTED_PROXIES": "10.0.0.1/8"}, "TRUSTED_PROXIES"),
        ({"RATE_READS": "often"}, "RATE_READS"),
        ({"MAX_IOVS": "0"}, "MAX_IOVS"),
    ],
)
def test_what_would_be_unsafe_or_cannot_be_is_refused(environ, named):
    """One line names the variable, before anything listens."""
    with pytest.raises(BadConfiguration, match=named):
        Config.from_environ(environ)


def test_no_secret_is_shown_by_a_configuration():
    """It is logged whole at the start."""
    secrets = {"JWT_SECRET": "j" * 40, "ADMIN_TOKEN": "a" * 40, "BUFFER_TOKEN": "b" * 40}
    shown = repr(Config.from_environ(secrets))
    assert not [secret for secret in secrets.values() if secret in shown]
