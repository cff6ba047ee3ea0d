"""A misspelt variable in the environment of both tiers is told by the one that would read it."""

import pytest
from servers import databuffer, logic

LINE = "HEADER_TIMOUT is set, and is no variable of condstore: HEADER_TIMEOUT?"


@pytest.mark.parametrize("tier", ["databuffer", "logic"])
def test_a_misspelt_variable_is_told_once_at_the_start(tmp_path, tier):
    """In one line of the log, by the process and not by each worker; nothing else is told so."""
    misspelt = {"HEADER_TIMOUT": "5", "DSLOGIC_PORT_5000_TCP": "tcp://10.0.0.1:5000"}
    with databuffer(tmp_path, **misspelt) as buffer, logic(buffer.url, tmp_path, **misspelt) as top:
        told = (buffer if tier == "databuffer" else top).log.read_text()
    assert told.count("is no variable of condstore") == told.count(LINE) == 1
