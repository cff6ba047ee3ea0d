"""Traces: one for a call through both tiers; nothing waits for the collector; off is off."""

import socket
import subprocess
import sys
import time

import pytest
from collector import collecting
from logic_pair import Pair
from servers import ROOT, databuffer, logic

SERVER, CLIENT = 2, 3
CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SEGMENT = '{"h":[1.0],"t":[1.0,1.0]}'


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Send a write that is part of a caller's trace and a read that is not; stop both tiers."""
    folder = tmp_path_factory.mktemp("traced")
    with collecting() as collector:
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with databuffer(folder, **on) as buffer, logic(buffer.url, folder, **on) as tier:
            both = Pair(buffer, tier)
            both.settle()
            both.post("/stream", SEGMENT, traceparent=f"00-{CALLER}-{PARENT}-01")
            both.get("/api/v1/global-tags/stream/payloads?major=1&minor=5", X_Request_Id="read-1")
            both.ask("GET", "/metrics")
            both.http.clear()
            began = time.monotonic()
            tier.stop()
            buffer.stop()
            yield collector, time.monotonic() - began


def test_one_trace_goes_through_both_tiers(traced):
    """Caller, logic tier, its call, databuffer: each span is the next one's parent."""
    collector, _ = traced
    (asked,) = collector.named("POST /stream")
    (call,) = collector.named("databuffer: stream")
    (stored,) = collector.named("POST /sendF")
    assert {asked.trace, call.trace, stored.trace} == {CALLER}
    assert [asked.parent, call.parent, stored.parent] == [PARENT, asked.id, call.id]
    assert [asked.kind, call.kind, stored.kind] == [SERVER, CLIENT, SERVER]
    assert (asked.service, stored.service) == ("condstore-logic", "condstore-databuffer")
    assert {span.told["http.response.status_code"] for span in (asked, call, stored)} == {201}
    assert asked.told["condstore.request_id"] == stored.told["condstore.request_id"]


def test_a_span_tells_of_the_route_and_the_tag(traced):
    """By the route rather than by the path; the tag where /metrics would tell it too."""
    collector, _ = traced
    (read,) = collector.named("GET /api/v1/global-tags/<tag>/payloads")
    assert read.told["condstore.tag"] == "stream"
    assert read.told["condstore.request_id"] == "read-1"
    assert read.trace != CALLER


def test_nobody_traces_probes_scrapes_and_the_follower(traced):
    """What comes every few seconds, for ever, is in nobody's way."""
    collector, _ = traced
    told = {span.told.get("http.route") for span in collector.spans}
    assert not told & {"/readyz", "/metrics", "/livez"}
    (read,) = collector.named("GET /api/v1/global-tags/<tag>/payloads")
    of_requests = {CALLER, read.trace}  # which may have to fetch what they wait for
    assert {span.trace for span in collector.named("GET /ledger")} <= of_requests


def test_what_was_made_last_leaves_at_the_end(traced):
    """Spans are sent every few seconds; those of a tier that stops are not lost, and soon gone."""
    _, seconds = traced
    assert seconds < 15


def test_a_collector_that_never_answers_is_waited_for_by_nobody(tmp_path):
    """It takes connections and says nothing: requests are as fast, and the end is in bounds."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{deaf.getsockname()[1]}"}
        with databuffer(tmp_path, **on) as buffer:
            both = Pair(buffer, buffer)
            for _ in range(20):
                answer = both.http.request("POST", f"{buffer.url}/sendF", body=SEGMENT, timeout=8)
                assert answer.status == 201
            both.http.clear()
            began = time.monotonic()
            assert buffer.stop() == 0
            assert time.monotonic() - began < 15


def test_a_collector_that_is_away_is_told_of_once(tmp_path):
    """One line, not one a second."""
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with databuffer(tmp_path, OTEL_BSP_SCHEDULE_DELAY="100", **on) as buffer:
        both = Pair(buffer, buffer)
        for _ in range(5):
            both.http.request("POST", f"{buffer.url}/sendF", body=SEGMENT)
        both.http.clear()
        assert buffer.stop() == 0
        assert buffer.log.read_text().count("span") <= 1


def test_nothing_is_imported_where_nobody_traces():
    """Both tiers come up without a module of OpenTelemetry."""
    script = (
        "import sys, databuffer.app, databuffer.config\n"
        "import datastore_logic.app, datastore_logic.config\n"
        "databuffer.app.create_app(databuffer.config.Config.from_environ({}))\n"
        "datastore_logic.app.create_app(datastore_logic.config.Config.from_environ({}))\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.parametrize("tier", ["databuffer", "datastore_logic"])
def test_without_the_extra_it_says_so_and_goes_on(tier):
    """An endpoint that a cluster sets for everybody stops nobody."""
    script = (
        "import sys, logging\n"
        "sys.modules['opentelemetry'] = None\n"
        "logging.basicConfig()\n"
        f"from {tier}.tracing import Tracing\n"
        "tracing = Tracing('http://collector', 'x', '1')\n"
        "tracing.start(); tracing.stop()\n"
        "with tracing.answering({}) as span: assert span is None\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    assert "not installed is condstore[tracing]" in done.stderr
