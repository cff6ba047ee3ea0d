"""Lines of the log, as text and as JSON: real servers, one request that goes through both tiers."""

import json
import logging
import re
import sys
import warnings

import pytest
from logic_pair import Pair
from servers import databuffer, logic

from databuffer import logs as buffer_logs
from datastore_logic import logs as logic_logs

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
LEVELS = {"debug", "info", "warning", "error", "critical"}
FIELDS = {"time", "level", "logger", "message", "pid"}


@pytest.fixture(scope="module", params=["json", "text"])
def told(request, tmp_path_factory):
    """Run both tiers, logging everything, send one write, and stop them."""
    folder = tmp_path_factory.mktemp(request.param)
    form = {"LOG_FORMAT": request.param, "LOG_LEVEL": "debug"}
    with databuffer(folder, **form) as buffer, logic(buffer.url, folder, **form) as tier:
        both = Pair(buffer, tier)
        both.settle()
        segment = both.post("/stream", '{"h":[1.0],"t":[1.0,1.0]}', X_Request_Id="one-write")
        both.http.clear()
        tier.stop()
        buffer.stop()
        yield request.param, segment, (buffer.log, tier.log)


def test_one_id_finds_the_lines_of_both_tiers(told):
    """The caller's id stands in a line of the logic tier and in one of the databuffer."""
    form, segment, logs = told
    assert segment.status == 201
    assert segment.headers["X-Request-Id"] == "one-write"
    for log in logs:
        lines = [line for line in log.read_text().splitlines() if "one-write" in line]
        assert lines
        if form == "json":
            assert {json.loads(line)["request_id"] for line in lines} == {"one-write"}
        else:
            assert all(line.endswith(" [one-write]") for line in lines)


def test_as_json_every_line_is_an_object(told):
    """Of gunicorn, of aiohttp, of the follower's thread: the same fields."""
    form, _, logs = told
    if form == "text":
        pytest.skip("text is for people")
    for log in logs:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert len(lines) > 2
        for line in lines:
            assert line.keys() - {"request_id", "exception"} == FIELDS
            assert TIME.fullmatch(line["time"])
            assert line["level"] in LEVELS
    spoke = {json.loads(line)["logger"] for line in logs[1].read_text().splitlines()}
    assert "gunicorn.error" in spoke


def test_what_no_request_causes_has_no_id(told):
    """The configuration, logged at the start, belongs to nobody's request."""
    form, _, logs = told
    for log in logs:
        (line,) = [
            line for line in log.read_text().splitlines() if "configuration: Config(" in line
        ]
        if form == "json":
            assert "request_id" not in json.loads(line)
        else:
            assert line.endswith(")")


@pytest.mark.parametrize("logs", [buffer_logs, logic_logs])
def test_a_line_is_one_line_whatever_is_in_it(logs):
    """Newlines, a name that is no text, and a traceback: all of it stays in the object."""
    try:
        {}["a\nb\udcff"]
    except KeyError:
        record = logging.LogRecord(
            "n", logging.ERROR, "f", 1, "x\ny\udcff %s", ("z",), sys.exc_info()
        )
    line = logs.Json().format(record)
    assert "\n" not in line
    found = json.loads(line.encode())
    assert found["message"] == "x\ny\\udcff z"
    assert found["exception"].endswith("KeyError: 'a\\nb\\udcff'")


@pytest.mark.parametrize("logs", [buffer_logs, logic_logs])
def test_warnings_of_python_are_lines_too(logs, monkeypatch, capsys):
    """What a library warns of goes where everything goes."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    level = root.level
    try:
        logs.begin(logs.LogFormat.JSON, "info")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(capture=False)
        root.setLevel(level)
    line = json.loads(capsys.readouterr().err)
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
