"""The logic tier's settings: defaults, what the environment says, and what it may not say."""

from pathlib import Path

import pytest

from datastore_logic.config import Config, Endpoints
from datastore_logic.errors import BadConfiguration


def test_an_empty_environment_gives_the_defaults():
    """Nothing set, or set to nothing, is the default."""
    assert Config.from_environ({}) == Config()
    assert Config.from_environ({"PORT": "", "VIEW_PATH": "", "STREAM_TAG": ""}) == Config()


def test_every_variable_is_read():
    """Each variable reaches its setting."""
    environ = {
        "DB_BURL": "http://buffer:8080/base/", "VIEW_PATH": "/data/v", "MAX_SIZE": "0",
        "MAX_SEGMENT_BYTES": "7", "STREAM_TAG": "live", "HOST": "::", "PORT": "0",
        "WEB_CONCURRENCY": "3", "THREADS": "4", "LOG_LEVEL": "DEBUG", "ENDP_STAT": "s",
        "ENDP_DUMP": "/a", "ENDP_DUMPF": "/b", "ENDP_SEND": "/c", "ENDP_DESC": "/d",
        "ENDP_UPD_DESC": "/e", "ENDP_CLEAN": "/f", "BUFFER_TIMEOUT": "1.5", "VIEW_WAIT": "2",
        "SHUTDOWN_GRACE": "9", "CDB_IOV_MODE": "discrete",
    }  # fmt: skip
    endpoints = Endpoints("/s", "/a", "/b", "/c", "/d", "/e", "/f")
    assert Config.from_environ(environ) == Config(
        "http://buffer:8080/base", Path("/data/v"), 0, 7, "live", "::", 0, 3, 4, "debug",
        endpoints, 1.5, 2.0, 9, "discrete",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_BURL", "buffer:8080"), ("DB_BURL", "ftp://buffer"), ("DB_BURL", "http://b/?x=1"),
        ("PORT", "65536"), ("PORT", "-1"), ("PORT", "5e3"), ("WEB_CONCURRENCY", "0"),
        ("THREADS", "many"), ("MAX_SIZE", "9" * 5000), ("VIEW_WAIT", "nan"), ("VIEW_WAIT", "0"),
        ("BUFFER_TIMEOUT", "soon"), ("STREAM_TAG", "a/b"), ("LOG_LEVEL", "loud"),
        ("ENDP_SEND", "/send?x"), ("CDB_IOV_MODE", "Discrete"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_the_variables_name(name, value):
    """The message names the variable, whatever is wrong with it."""
    with pytest.raises(BadConfiguration, match=name):
        Config.from_environ({name: value})
