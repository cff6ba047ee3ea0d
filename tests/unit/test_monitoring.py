"""k8s/monitoring: alerts that fire when they should, a runbook for each, a dashboard of what is."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from manifests import built, named, of_kind, rendered
from monitoring_rules import CASES, MONITORING, alerts, promtool_tests, spec
from tools import tool

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def promtool(*arguments, cwd):
    """Run promtool; return what it says, which must be that all is well."""
    command = [str(tool("promtool")), *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_alert_fires_when_it_should_and_only_then(tmp_path):
    """Each is tried under series that it is for, and under some that are nearly so."""
    assert {case.alert for case in CASES if case.fires} == set(alerts())
    assert {case.alert for case in CASES if not case.fires} == set(alerts())
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(spec()))
    promtool("check", "rules", "--lint-fatal", "rules.yaml", cwd=tmp_path)
    for step in sorted({case.step for case in CASES}):
        (tmp_path / "tests.yaml").write_text(yaml.safe_dump(promtool_tests(step)))
        promtool("test", "rules", "tests.yaml", cwd=tmp_path)


def test_every_alert_has_its_entry_in_the_runbook_and_every_entry_its_alert():
    """Who is woken finds what to do; no entry is of an alert that is no more."""
    text = (ROOT / "docs/runbook.md").read_text()
    entries = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    assert entries.keys() == alerts().keys()
    for name, entry in entries.items():
        assert alerts()[name]["annotations"]["runbook_url"].endswith(
            f"/docs/runbook.md#{name.lower()}"
        )
        for part in ("What it means", "Who notices", "Look", "Do", "Wake"):
            assert f"**{part}.**" in entry, (name, part)


@pytest.mark.parametrize("name", alerts())
def test_an_alert_says_how_bad_it_is_and_what_it_is(name):
    """A line for a pager, some more for a screen, one of two severities."""
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    told = rule["annotations"]
    assert 20 < len(told["summary"]) < 90
    assert told["description"].endswith(".")


def test_the_runbook_says_how_bad_each_is():
    """Its table is the rules'."""
    text = (ROOT / "docs/runbook.md").read_text()
    for name, rule in alerts().items():
        assert f"| [{name}](#{name.lower()}) | {rule['labels']['severity']} |" in text


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_is_whole(panel):
    """A title, a word of what is shown, and a place that no other panel has."""
    assert panel["description"].endswith(".")
    assert panel["targets"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    place = panel["gridPos"]
    assert place["x"] + place["w"] <= 24
    for other in PANELS:
        if other is not panel:
            at = other["gridPos"]
            apart_x = place["x"] + place["w"] <= at["x"] or at["x"] + at["w"] <= place["x"]
            apart_y = place["y"] + place["h"] <= at["y"] or at["y"] + at["h"] <= place["y"]
            assert apart_x or apart_y, other["title"]


def test_every_expression_of_the_dashboard_is_one(tmp_path):
    """Each is parsed by promtool, with the variables of Grafana filled in."""
    rules = [
        {"record": f"panel:{number}", "expr": filled(target["expr"])}
        for number, target in enumerate(each for panel in PANELS for each in panel["targets"])
    ]
    assert len(rules) > 20
    (tmp_path / "panels.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]})
    )
    promtool("check", "rules", "panels.yaml", cwd=tmp_path)


def filled(expression):
    """Return an expression as Grafana would send it."""
    known = expression.replace("$namespace", "c").replace("$__rate_interval", "5m")
    assert "$" not in known
    return known


def test_the_dashboard_is_of_a_version_that_grafana_11_and_12_take():
    """Both migrate schema 39; ids are each one's own."""
    assert DASHBOARD["schemaVersion"] == 39
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_the_monitors_find_the_services():
    """By label and by the name of a port that the Service has; /metrics is where it is."""
    base, monitoring = built(ROOT / "k8s/base"), built(MONITORING)
    monitors = of_kind(monitoring, "ServiceMonitor")
    assert {monitor["metadata"]["name"] for monitor in monitors} == {"databuff", "dslogic"}
    for monitor in monitors:
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [s for s in of_kind(base, "Service") if wanted <= s["metadata"]["labels"].items()]
        (service,) = found
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert endpoint["path"] == "/metrics"
        assert (
            service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
            == service["metadata"]["name"]
        )


def test_where_reads_are_closed_prometheus_shows_a_token():
    """To the logic tier alone; the databuffer's metrics are open."""
    closed = built(ROOT / "k8s/monitoring-closed")
    shown = {"credentials": {"name": "condstore-metrics", "key": "token"}}
    (endpoint,) = named(closed, "ServiceMonitor", "dslogic")["spec"]["endpoints"]
    assert endpoint["authorization"] == shown
    (endpoint,) = named(closed, "ServiceMonitor", "databuff")["spec"]["endpoints"]
    assert "authorization" not in endpoint


def test_what_is_deployed_is_what_is_tested():
    """The rendered rules are the file's; the dashboard is in a ConfigMap that Grafana looks for."""
    objects = built(MONITORING)
    assert named(objects, "PrometheusRule", "condstore")["spec"] == spec()
    dashboard = named(objects, "ConfigMap", "condstore-dashboard")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["dashboard.json"]) == DASHBOARD


def test_the_alerts_of_upkeep_name_jobs_that_there_are():
    """A CronJob that is called otherwise would never be missed."""
    jobs = {job["metadata"]["name"] for job in of_kind(rendered("prod"), "CronJob")}
    told = set(re.findall(r'cronjob="([^"]+)"', (MONITORING / "rules.yaml").read_text()))
    assert len(told) == 4
    assert told <= jobs
