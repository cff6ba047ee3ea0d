"""The databuffer's settings: what makes no sense is refused in words."""

import pytest

from databuffer.config import Config
from databuffer.errors import BadConfiguration

LONG = "9" * 5000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVURL", "8080"), ("SERVURL", ":65536"), ("SERVURL", f":{LONG}"),
        ("WCHSZ", "0"), ("WCHSZ", "many"), ("WCHSZ", LONG), ("VOLUME_RESERVE_BYTES", "-1"),
        ("SHUTDOWN_GRACE", "-1"), ("SHUTDOWN_GRACE", "nan"), ("WRITE_WAIT", LONG),
        ("BODY_TIMEOUT", "0"), ("DATANM", "a/b"), ("LOG_LEVEL", "loud"), ("AUTH", "maybe"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_the_variables_name(name, value):
    """The message names the variable, whatever is wrong with it."""
    with pytest.raises(BadConfiguration, match=name):
        Config.from_environ({name: value})
