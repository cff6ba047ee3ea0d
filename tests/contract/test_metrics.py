"""What a real scrape of both tiers holds is what documentation, alerts and dashboard name."""

import json
import os
import re
import signal
from pathlib import Path

import pytest
from closed import reader, store
from logic_pair import pair
from monitoring_rules import MONITORING, spec
from servers import ROOT, eventually

from datastore_logic.web.counted_tags import CountedTags

SEGMENT = '{"h":[1.0],"t":[%d,1.0]}'
RESOLVE = "/api/v1/global-tags/stream/payloads?major=1&minor=0"
OTHERS = {
    "up",
    "kube_cronjob_created",
    "kube_cronjob_status_active",
    "kube_cronjob_status_last_schedule_time",
    "kube_cronjob_status_last_successful_time",
    "kube_deployment_status_replicas_available",
    "kube_pod_container_status_restarts_total",
    "certmanager_certificate_expiration_timestamp_seconds",
}
"""Of Prometheus itself, of kube-state-metrics and of cert-manager."""
_NAME = re.compile(r"\b(?:(?:databuffer|condstore_logic|kube|certmanager)_\w+|up(?=\{))")
_TYPE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
_SAMPLE = re.compile(r"^(\w+)(\{[^}]*\})? (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """Let both tiers do a little of everything; return what either answers to Prometheus."""
    with pair(tmp_path_factory.mktemp("metrics"), METRICS_TAGS="1") as both:
        for at in range(3):
            assert both.post("/stream", SEGMENT % at).status == 201
        both.get(RESOLVE)
        for name in ("b", "c"):
            both.post("/api/v1/global-tags", json.dumps({"name": name}))
            both.get(f"/api/v1/global-tags/{name}/payloads?major=1&minor=0")
        query = "/api/cdb_rest/payloadiovs/?majorIOV=1&minorIOV=0&gtName="
        both.get(query + "stream")
        assert both.get(query + "nothing-of-this-name") == []
        buffer = both.http.request("GET", f"{both.buffer.url}/metrics").data.decode()
        both.buffer.stop()
        assert both.post("/stream", SEGMENT % 9).status == 503
        yield buffer, both.ask("GET", "/metrics").data.decode()


def families(text):
    """Return {metric: its type} of an exposition, without what the library adds of itself."""
    found = dict(_TYPE.findall(text))
    return {name: kind for name, kind in found.items() if not name.endswith("_created")}


def value(text, sample):
    """Return the value of a sample, None if it is not there."""
    found = {f"{name}{labels}": float(number) for name, labels, number in _SAMPLE.findall(text)}
    return found.get(sample)


def test_the_documentation_names_every_metric_and_no_other(scraped):
    """docs/observing.md tells of what is scraped, with its type."""
    text = (ROOT / "docs/observing.md").read_text()
    documented = dict(
        re.findall(
            r"^\| `((?:databuffer|condstore_logic)_\w+)(?:\{[^`]*)?` \| (\w+) \|", text, re.M
        )
    )
    assert documented == families(scraped[0]) | families(scraped[1])


def test_alerts_and_dashboard_ask_for_what_there_is(scraped):
    """A name that nobody exports would keep an alert silent for ever."""
    text = scraped[0] + scraped[1]
    there = {name for name, _, _ in _SAMPLE.findall(text)} | OTHERS
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    rules = [rule for group in spec()["groups"] for rule in group["rules"]]
    asked = [rule["expr"] for rule in rules]
    asked += [each["expr"] for panel in dashboard["panels"] for each in panel.get("targets", ())]
    named = {name for expression in asked for name in _NAME.findall(expression)}
    assert len(named) > 30
    assert not named - there
    recorded = {rule["record"] for rule in rules if "record" in rule}
    used = {name for expression in asked for name in re.findall(r"condstore:[\w:]+", expression)}
    assert used == recorded


def test_resolutions_are_counted_by_contract_and_by_few_tags(scraped):
    """The first tag by name, the others together; a name that is no tag's is none's."""
    _, logic = scraped
    assert value(logic, 'condstore_logic_resolutions_total{tag="stream"}') == 2
    assert value(logic, 'condstore_logic_resolutions_total{tag="other"}') == 2
    assert "nothing-of-this-name" not in logic
    assert value(logic, 'condstore_logic_resolve_seconds_count{contract="v1"}') == 3
    assert value(logic, 'condstore_logic_resolve_seconds_count{contract="cdb"}') == 1


def test_what_is_written_is_timed(scraped):
    """Each entry from its arrival; each sync of the ledger and of payloads; each volume."""
    buffer, _ = scraped
    assert value(buffer, "databuffer_ledger_append_seconds_count") == 5
    assert value(buffer, 'databuffer_fsync_seconds_count{what="ledger"}') >= 1
    assert value(buffer, 'databuffer_fsync_seconds_count{what="blobs"}') >= 1
    assert value(buffer, "databuffer_ledger_batch_entries_sum") == 5
    assert value(buffer, "databuffer_ready") == 1
    for volume in ("ledger", "data"):
        free = value(buffer, f'databuffer_volume_free_bytes{{volume="{volume}"}}')
        assert 0 < free <= value(buffer, f'databuffer_volume_bytes{{volume="{volume}"}}')


def test_a_databuffer_that_is_away_is_a_failed_call(scraped):
    """Counted by what was asked of it."""
    _, logic = scraped
    assert value(logic, 'condstore_logic_databuffer_failures_total{call="stream"}') == 1
    assert value(logic, 'condstore_logic_databuffer_seconds_count{call="stream"}') == 4


def test_a_worker_that_is_replaced_leaves_its_counts_and_no_files(tmp_path):
    """Counters go on, gauges are those of who lives, and the folder does not grow."""
    with pair(tmp_path) as both:
        for _ in range(20):
            both.ask("GET", "/livez")
        before = counted(both)
        files = sorted(path.name for path in tmp_path.glob("logic.sqlite.metrics/*.db"))
        for _ in range(2):
            killed = workers(both)
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            eventually(lambda gone=killed: len(set(workers(both)) - set(gone)) == 2, within=30)
            both.http.clear()
            eventually(lambda: both.ask("GET", "/livez").status == 200, within=30)
        assert counted(both) >= before + 2
        eventually(lambda: value(scrape(both), "condstore_logic_threads") == 32)
        after = {path.name for path in tmp_path.glob("logic.sqlite.metrics/*.db")}
        assert len(after) <= 6
        assert after >= set(files)


def workers(both):
    """Return the process ids of the pod's workers."""
    master = both.logic.process.pid
    children = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(pid) for pid in children.split()]


def scrape(both):
    """Return what Prometheus would be told."""
    return both.ask("GET", "/metrics").data.decode()


def counted(both):
    """Return how many answers to /livez the pod has counted."""
    return value(
        scrape(both), 'condstore_logic_requests_total{method="GET",route="/livez",status="200"}'
    )


def test_where_reads_are_closed_no_tag_is_told(tmp_path):
    """Who may scrape need not be one who may see the tags."""
    with store(tmp_path) as closed:
        closed.do("/api/v1/global-tags", {"name": "hidden-one"})
        closed.do("/api/v1/global-tags/hidden-one/payloads?major=1&minor=0", method="GET")
        text = closed.ask(reader("nothing"), "/metrics").get_data(as_text=True)
    assert value(text, 'condstore_logic_resolutions_total{tag="all"}') == 1
    assert "hidden-one" not in text


def test_the_workers_of_a_pod_count_the_same_tags(tmp_path):
    """What one has named the other names too, and no more than there may be."""
    one, other = (CountedTags(tmp_path / "tags", 2, hidden=False) for _ in range(2))
    assert [one.label("a"), other.label("b"), one.label("c"), other.label("c")] == [
        *("a", "b", "other", "other")
    ]
    assert [one.label("b"), other.label("a")] == ["b", "a"]
    assert CountedTags(tmp_path / "tags", 0, hidden=False).label("a") == "all"
