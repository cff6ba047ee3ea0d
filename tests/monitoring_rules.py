"""The alerts of k8s/monitoring, and for each: series under which it must fire, and must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

MONITORING: Final = Path(__file__).parents[1] / "k8s/monitoring"
WHERE: Final = 'namespace="c"'
BUFFER: Final = f'{WHERE},pod="databuff-0"'
REPLICA: Final = f'{WHERE},pod="dslogic-1"'

Series = dict[str, str]


class Case(NamedTuple):
    """Minutes after which an alert is looked at, and whether it must fire then.

    The series have a value every `step` minutes.
    """

    alert: str
    fires: bool
    minutes: int
    series: Series
    step: int = 1


def spec() -> dict[str, Any]:
    """Return the groups of rules, as Prometheus itself would load them."""
    found: dict[str, Any] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    rules = [rule for group in spec()["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def _both(alert: str, minutes: int, firing: Series, quiet: Series) -> list[Case]:
    return [Case(alert, True, minutes, firing), Case(alert, False, minutes, quiet)]


def _late(alert: str, job: str, days: int) -> list[Case]:
    """Return the cases of a CronJob that has not succeeded for so many days, or never has."""
    done = f'kube_cronjob_status_last_successful_time{{{WHERE},cronjob="{job}"}}'
    made = f'kube_cronjob_created{{{WHERE},cronjob="{job}"}}'
    minutes, steps = days * 24 * 60, days * 4
    long_ago, lately = f"0x{steps}", f"{(days - 1) * 86400}x{steps}"
    return [
        Case(alert, True, minutes, {made: long_ago, done: long_ago}, 360),
        Case(alert, True, minutes, {made: long_ago}, 360),
        Case(alert, False, minutes, {made: long_ago, done: lately}, 360),
        Case(alert, False, minutes, {made: lately}, 360),
    ]


def _buckets(name: str, labels: str, fast: str, slow: str) -> Series:
    """Return a histogram of 10 observations a minute, all of them between two bounds."""
    family = f"{name}_bucket{{{labels}"
    return {
        f'{family},le="{fast}"}}': "0x60",
        f'{family},le="{slow}"}}': "0+600x60",
        f'{family},le="+Inf"}}': "0+600x60",
        f"{name}_count{{{labels}}}": "0+600x60",
    }


def _requests(route: str, status: int, each_minute: int) -> Series:
    told = f'{REPLICA},route="{route}",method="GET",status="{status}"'
    return {f"condstore_logic_requests_total{{{told}}}": f"0+{each_minute}x60"}


def _volume(free: str, total: str = "1000x60") -> Series:
    labels = f'{BUFFER},volume="data"'
    return {
        f"databuffer_volume_free_bytes{{{labels}}}": free,
        f"databuffer_volume_bytes{{{labels}}}": total,
        f"databuffer_volume_reserve_bytes{{{labels}}}": "50x60",
    }


UP: Final = f'up{{{BUFFER},job="databuff"}}'
LEDGER: Final = f"databuffer_ledger_lsn{{{BUFFER}}}"
APPLIED: Final = f"condstore_logic_applied_lsn{{{REPLICA}}}"
HALTED: Final = f"condstore_logic_view_halted{{{REPLICA}}}"
REACHED: Final = f"condstore_logic_databuffer_reachable{{{REPLICA}}}"
READY: Final = f"databuffer_ready{{{BUFFER}}}"
WAITING: Final = f"databuffer_writes_waiting{{{BUFFER}}}"
BUSY, THREADS = (f"condstore_logic_threads{part}{{{REPLICA}}}" for part in ("_busy", ""))
RESTARTS: Final = f'kube_pod_container_status_restarts_total{{{BUFFER},container="databuff"}}'
AVAILABLE: Final = f'kube_deployment_status_replicas_available{{{WHERE},deployment="dslogic"}}'
TURNED: Final = f"_connections_turned_away_total{{{REPLICA}}}"
SCRAPED: Final = f'up{{{REPLICA},job="dslogic"}}'
ENDS: Final = f'certmanager_certificate_expiration_timestamp_seconds{{{WHERE},name="dslogic"}}'
SYNCS: Final = f'{BUFFER},what="ledger"'
VERIFY: Final = f'{{{WHERE},cronjob="condstore-verify"}}'
VERIFY_BEGUN: Final = f"kube_cronjob_status_last_schedule_time{VERIFY}"
VERIFIED: Final = f"kube_cronjob_status_last_successful_time{VERIFY}"
VERIFYING: Final = f"kube_cronjob_status_active{VERIFY}"

CASES: Final = [
    *_both("DatabufferDown", 10, {UP: "1x5 0x20"}, {UP: "1x8 0 1x20"}),
    Case("DatabufferDown", True, 10, {}),
    *_both("DatabufferRestarting", 40, {RESTARTS: "0x9 1x9 2x9 3x60"}, {RESTARTS: "0x20 1x60"}),
    *_both(
        "DatabufferCannotWrite",
        *(10, {READY: "0x60", **_volume("500x60")}, {READY: "0x60", **_volume("40x60")}),
    ),
    *_both("VolumeAtReserve", 10, _volume("49x60"), _volume("51x60")),
    Case("VolumeFullSoon", True, 600, _volume("450-10x30"), 60),
    Case("VolumeFullSoon", False, 600, _volume("400x30"), 60),
    Case("VolumeFullSoon", False, 600, _volume("450-10x30", "600x30"), 60),
    *_both(
        "SyncSlow",
        *(30, _buckets("databuffer_fsync_seconds", SYNCS, "0.5", "1")),
        _buckets("databuffer_fsync_seconds", SYNCS, "0.01", "0.1"),
    ),
    *_both("WritesWaiting", 20, {WAITING: "3x60"}, {WAITING: " ".join(["3x3 0"] * 15)}),
    *_both("NoReplicaAvailable", 10, {AVAILABLE: "1x5 0x20"}, {AVAILABLE: "1x20"}),
    *_both(
        "DatabufferUnreachable",
        *(10, {REACHED: "0x60", UP: "1x60"}, {REACHED: "0x60", UP: "0x60"}),
    ),
    *_both("ReplicaHalted", 10, {HALTED: "1x60"}, {HALTED: "0x60"}),
    *_both(
        "ReplicaBehind",
        *(30, {LEDGER: "0+10x60", APPLIED: "0+10x10 100x60", HALTED: "0x60"}),
        {LEDGER: "0+10x60", APPLIED: "0+9x60", HALTED: "0x60"},
    ),
    Case("ReplicaBehind", False, 30, {LEDGER: "0+10x60", APPLIED: "100x60", HALTED: "1x60"}),
    Case("ReplicaBehind", False, 30, {LEDGER: "900x20 5x60", APPLIED: "5x60", HALTED: "0x60"}),
    *_both(
        "RequestsFail",
        *(30, _requests("/a", 200, 600) | _requests("/a", 500, 60)),
        _requests("/a", 200, 600) | _requests("/a", 503, 6),
    ),
    Case("RequestsFail", False, 30, _requests("/a", 200, 600) | _requests("/stream", 503, 600)),
    Case("RequestsFail", True, 30, _requests("/a", 200, 600) | _requests("/stream", 507, 600)),
    Case("RequestsFail", False, 30, _requests("/a", 200, 600) | _requests("/readyz", 503, 600)),
    *_both(
        "ResolveSlow",
        *(30, _buckets("condstore_logic_resolve_seconds", f'{REPLICA},contract="v1"', "0.25", "1")),
        _buckets("condstore_logic_resolve_seconds", f'{REPLICA},contract="v1"', "0.001", "0.002"),
    ),
    *_both(
        "ThreadsExhausted",
        *(20, {BUSY: "32x60", THREADS: "32x60"}, {BUSY: "31x60", THREADS: "32x60"}),
    ),
    *_both(
        "ConnectionsTurnedAway",
        *(30, {f"condstore_logic{TURNED}": "0+5x60"}, {f"condstore_logic{TURNED}": "0x5 9x60"}),
    ),
    Case("ConnectionsTurnedAway", True, 30, {f"databuffer{TURNED}": "0+5x60"}),
    *_both("ReplicaNotScraped", 20, {SCRAPED: "0x60"}, {SCRAPED: "0 0 0 0 1x60"}),
    *_late("BackupTooOld", "condstore-backup", 3),
    *_late("BackupUnsound", "condstore-verify", 16),
    Case(
        "BackupUnsound", True, 60, {VERIFY_BEGUN: "1000x60", VERIFIED: "900x60", VERIFYING: "0x60"}
    ),
    Case("BackupUnsound", True, 60, {VERIFY_BEGUN: "1000x60", VERIFYING: "0x60"}),
    Case("BackupUnsound", False, 60, {VERIFY_BEGUN: "1000x60", VERIFYING: "1x60"}),
    Case(
        "BackupUnsound", False, 60, {VERIFY_BEGUN: "800x60", VERIFIED: "900x60", VERIFYING: "0x60"}
    ),
    *_late("CheckpointTooOld", "condstore-checkpoint", 4),
    *_late("CompactionTooOld", "condstore-compact", 17),
    Case("CertificateExpiring", True, 180, {ENDS: f"{13 * 86400}x5", LEDGER: "1x5"}, 60),
    Case("CertificateExpiring", False, 180, {ENDS: f"{30 * 86400}x5", LEDGER: "1x5"}, 60),
    Case("CertificateExpiring", False, 180, {ENDS: f"{13 * 86400}x5"}, 60),
]


def promtool_tests(step: int) -> dict[str, Any]:
    """Return the cases of a step as promtool reads them."""
    return {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{step}m",
        "tests": [_test(case) for case in CASES if case.step == step],
    }


def _test(case: Case) -> dict[str, Any]:
    firing = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    expected = [{"labels": "{}", "value": 1}] if case.fires else []
    return {
        "name": f"{case.alert} {'fires' if case.fires else 'does not'}",
        "interval": f"{case.step}m",
        "input_series": [{"series": name, "values": told} for name, told in case.series.items()],
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{case.minutes}m", "exp_samples": expected}
        ],
    }
