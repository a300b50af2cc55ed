"""The shipped Prometheus rules: each fires on its fault, is silent without it, and a vanished series is told."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daemon.settings.generate import pages
from tests.support.reporting import not_run
from tests.support.source import ROOT

RULES = ROOT / "deploy" / "prometheus" / "pgvigil.rules.yml"
TEXT = RULES.read_text(encoding="utf-8")
ALERTS = re.findall(r"- alert: (\w+)", TEXT)
STAMP = "pgvigil_collector_last_success_timestamp_seconds"
INTERVAL = "pgvigil_collector_interval_seconds"

# Values in promtool's own notation, a minute apart; what is still true after 40 minutes is true at the end.
Series = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """The alert has `labels` when `fault` is seen, and is silent when `healthy` is."""

    fault: Series
    healthy: Series
    labels: Mapping[str, str] = field(default_factory=dict)
    at: str = "40m"


def flat(name: str, fault: float, healthy: float, **labels: str) -> Case:
    """One gauge that is bad, or well, all the time."""
    series = f"{name}{{{', '.join(f'{key}={json.dumps(value)}' for key, value in labels.items())}}}"
    return Case({series: f"{fault}x60"}, {series: f"{healthy}x60"}, labels)


def growing(name: str, fault: str, healthy: str, **labels: str) -> Case:
    """One counter."""
    case = flat(name, 0, 0, **labels)
    (series,) = case.fault
    return Case({series: fault}, {series: healthy}, labels)


SHOP = {"target": "shop"}
CASES: dict[str, Case] = {
    "PgvigilAbsent": Case({}, {'pgvigil_build_info{version="1"}': "1x60"}),
    "PgvigilTargetVanished": Case(
        {'pgvigil_target_up{target="shop"}': "1x20 _x40"}, {'pgvigil_target_up{target="shop"}': "1x60"}, SHOP
    ),
    "PgvigilCollectorBlind": Case(
        {
            f'{STAMP}{{target="shop", collector="slots"}}': "0x60",
            f'{INTERVAL}{{target="shop", collector="slots"}}': "60x60",
        },
        {
            f'{STAMP}{{target="shop", collector="slots"}}': "0+60x60",
            f'{INTERVAL}{{target="shop", collector="slots"}}': "60x60",
        },
        {**SHOP, "collector": "slots"},
    ),
    "PgvigilDatabaseNotCovered": Case(
        {'pgvigil_databases_not_covered{target="shop"}': "1x370 2x60"},
        {  # what nobody can read at any time; a restart begins with none
            'pgvigil_databases_not_covered{target="shop"}': "2x50 0x1 2x379"
        },
        SHOP,
        at="420m",
    ),
    "PgvigilCannotTell": flat("pgvigil_outbox_parked", 1, 0, sink="oncall"),
    "PgvigilNotTold": flat("pgvigil_outbox_oldest_pending_timestamp_seconds", 60, 2380, sink="oncall"),
    "PgvigilNotificationsSlow": Case(
        {
            'pgvigil_notify_latency_seconds_bucket{sink="oncall", le="60.0"}': "0x60",
            'pgvigil_notify_latency_seconds_bucket{sink="oncall", le="120.0"}': "0+1x60",
            'pgvigil_notify_latency_seconds_bucket{sink="oncall", le="+Inf"}': "0+1x60",
        },
        {  # one in twenty is late
            'pgvigil_notify_latency_seconds_bucket{sink="oncall", le="60.0"}': "0+19x60",
            'pgvigil_notify_latency_seconds_bucket{sink="oncall", le="120.0"}': "0+20x60",
            'pgvigil_notify_latency_seconds_bucket{sink="oncall", le="+Inf"}': "0+20x60",
        },
        {"sink": "oncall"},
    ),
    "PgvigilDropped": growing(
        "pgvigil_outbox_dropped_total", "0x35 1x25", "1x60", sink="oncall", reason="over"
    ),
    "PgvigilQueueUnknown": Case(
        {
            'pgvigil_notify_attempts_total{sink="oncall", outcome="ok"}': "1x60",
            'pgvigil_outbox_pending{sink="oncall"}': "0x20 _x40",
        },
        {
            'pgvigil_notify_attempts_total{sink="oncall", outcome="ok"}': "1x60",
            'pgvigil_outbox_pending{sink="oncall"}': "0x60",
        },
        {"sink": "oncall"},
    ),
    "PgvigilSinkVanished": Case(
        {'pgvigil_notify_attempts_total{sink="oncall", outcome="ok"}': "1x20 _x40"},
        {'pgvigil_notify_attempts_total{sink="oncall", outcome="ok"}': "1x60"},
        {"sink": "oncall"},
    ),
    "PgvigilRuleFails": growing("pgvigil_rule_errors_total", "0x35 1x25", "1x60", rule="slow_query"),
    "PgvigilIncidentCritical": Case(
        {
            'pgvigil_incidents_open{target="shop", rule="target_down", severity="critical", state="firing"}': "1x60"
        },
        {
            'pgvigil_incidents_open{target="shop", rule="target_down", severity="critical", state="unknown"}': "1x60"
        },
        {**SHOP, "rule": "target_down"},
    ),
    "PgvigilIncidentWarning": Case(
        {
            'pgvigil_incidents_open{target="shop", rule="deadlocks", severity="warning", state="firing"}': "2x60"
        },
        {'pgvigil_incidents_open{target="shop", rule="deadlocks", severity="info", state="firing"}': "2x60"},
        {**SHOP, "rule": "deadlocks"},
    ),
    "PostgresqlDown": flat("pgvigil_target_up", 0, 1, **SHOP),
    "PostgresqlConnectionsNearLimit": Case(
        {'pgvigil_connections{target="shop"}': "90x60", 'pgvigil_connection_slots{target="shop"}': "97x60"},
        {'pgvigil_connections{target="shop"}': "70x60", 'pgvigil_connection_slots{target="shop"}': "97x60"},
        SHOP,
    ),
    "PostgresqlSessionsBlocked": flat("pgvigil_longest_block_seconds", 45, 5, **SHOP),
    "PostgresqlTransactionOld": growing(
        "pgvigil_oldest_transaction_timestamp_seconds", "60x60", "0+60x60", **SHOP
    ),
    "PostgresqlDeadlocks": growing(
        "pgvigil_database_deadlocks_total", "0+1x60", "0x35 1x25", **SHOP, database="shop"
    ),
    "PostgresqlChecksumFailures": growing(
        "pgvigil_database_checksum_failures_total", "0x30 3x30", "3x60", **SHOP, database="shop"
    ),
    "PostgresqlTemporaryFiles": flat("pgvigil_temp_files_bytes", 30e9, 5e9, **SHOP),
    "PostgresqlTransactionIdsRunOut": flat(
        "pgvigil_database_unfrozen_xids", 1.2e9, 2e8, **SHOP, database="shop"
    ),
    "PostgresqlMultixactIdsRunOut": flat(
        "pgvigil_database_unfrozen_multixacts", 1.2e9, 4e8, **SHOP, database="shop"
    ),
    "PostgresqlReplicationLag": Case(
        {
            'pgvigil_replication_replay_lag_seconds{target="shop", replica="b"}': "60x60",
            'pgvigil_replication_behind_bytes{target="shop", replica="b"}': "50000000x60",
        },
        {  # a large transaction is behind for a moment, and an idle one is old
            'pgvigil_replication_replay_lag_seconds{target="shop", replica="b"}': "600x60",
            'pgvigil_replication_behind_bytes{target="shop", replica="b"}': "0x60",
        },
        {**SHOP, "replica": "b"},
    ),
    "PostgresqlStandbyDisconnected": flat("pgvigil_standby_streaming", 0, 1, **SHOP),
    "PostgresqlSlotRetains": Case(
        {
            'pgvigil_replication_slot_retained_bytes{target="shop", slot="s"}': "90000000000x60",
            'pgvigil_replication_slot_active{target="shop", slot="s"}': "0x60",
        },
        {
            'pgvigil_replication_slot_retained_bytes{target="shop", slot="s"}': "90000000000x60",
            'pgvigil_replication_slot_active{target="shop", slot="s"}': "1x60",
        },
        {**SHOP, "slot": "s"},
    ),
    "PostgresqlSlotLost": flat("pgvigil_replication_slot_lost", 1, 0, **SHOP, slot="s"),
    "PostgresqlSubscriptionDown": Case(
        {
            'pgvigil_subscription_worker_up{target="shop", subscription="s"}': "0x60",
            'pgvigil_subscription_enabled{target="shop", subscription="s"}': "1x60",
        },
        {
            'pgvigil_subscription_worker_up{target="shop", subscription="s"}': "0x60",
            'pgvigil_subscription_enabled{target="shop", subscription="s"}': "0x60",
        },
        {**SHOP, "subscription": "s"},
    ),
    "PostgresqlArchiverFails": Case(
        {
            'pgvigil_archiver_failed_total{target="shop"}': "0+3x60",
            'pgvigil_archiver_last_failed_timestamp_seconds{target="shop"}': "0+60x60",
            'pgvigil_archiver_last_archived_timestamp_seconds{target="shop"}': "60x60",
        },
        {  # it failed once, and went on
            'pgvigil_archiver_failed_total{target="shop"}': "0x35 3x25",
            'pgvigil_archiver_last_failed_timestamp_seconds{target="shop"}': "2100x60",
            'pgvigil_archiver_last_archived_timestamp_seconds{target="shop"}': "0+60x60",
        },
        SHOP,
    ),
    "PostgresqlPreparedTransactionOld": growing(
        "pgvigil_prepared_transactions_oldest_timestamp_seconds", "60x60", "0+60x60", **SHOP
    ),
    "PostgresqlCertificateExpires": flat(
        "pgvigil_certificate_expiry_timestamp_seconds", 86400, 90 * 86400, **SHOP
    ),
    "PgbouncerClientsWait": flat(
        "pgvigil_pgbouncer_pool_longest_wait_seconds", 9, 0, **SHOP, database="shop", user="web"
    ),
    "PostgresqlSequenceNearEnd": flat("pgvigil_sequence_used_ratio", 0.9, 0.5, **SHOP, database="shop"),
}


def promtool(*arguments: str | Path) -> None:
    program = shutil.which("promtool")
    if program is None:
        not_run("no promtool (Debian: apt-get install prometheus)")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def firing(alert: str, labels: Mapping[str, str]) -> dict[str, Any]:
    own = re.search(rf"- alert: {alert}\n(?:(?!- alert)[\s\S])*?labels: \{{ (.*?) \}}", TEXT)
    assert own is not None, alert
    fixed = dict(pair.split(": ") for pair in own[1].split(", "))
    return {"exp_labels": fixed | dict(labels)}


def judge(
    tmp_path: Path, series: Series, alert: str, expected: Sequence[Mapping[str, Any]], at: str = "40m"
) -> None:
    """What promtool expects of an alert are its labels; the texts are made of them."""
    told = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'ALERTS{{alertname="{alert}", alertstate="firing"}}',
                        "eval_time": at,
                        "exp_samples": [{"labels": _sample(alert, each), "value": 1} for each in expected],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps(told))
    promtool("test", "rules", file)


def _sample(alert: str, expected: Mapping[str, Any]) -> str:
    labels = {**expected["exp_labels"], "alertname": alert, "alertstate": "firing"}
    return "ALERTS{" + ", ".join(f"{key}={json.dumps(value)}" for key, value in labels.items()) + "}"


def test_promtool_finds_no_fault_in_the_rules() -> None:
    promtool("check", "rules", RULES)


def test_every_alert_has_its_cases() -> None:
    assert sorted(CASES) == sorted(ALERTS)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_fires_on_its_fault(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    judge(tmp_path, case.fault, alert, [firing(alert, case.labels)], case.at)


@pytest.mark.parametrize("alert", ALERTS)
def test_it_is_silent_without_its_fault(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    judge(tmp_path, case.healthy, alert, [], case.at)


@pytest.mark.parametrize("alert", [alert for alert in ALERTS if not alert.startswith("Pgvigil")])
def test_a_series_that_vanishes_is_told(alert: str, tmp_path: Path) -> None:
    """Its own alert cannot fire then; that its collector, or the target, is blind is told instead."""
    collector = firing(alert, {})["exp_labels"]["collector"]
    gone = {name: re.sub(r"x\d+.*$", "x20 _x40", values) for name, values in CASES[alert].healthy.items()}
    gone[f'{STAMP}{{target="shop", collector="{collector}"}}'] = "0+60x20 _x40"
    judge(tmp_path, gone, alert, [])
    blind = firing("PgvigilCollectorBlind", {"target": "shop", "collector": collector})
    judge(tmp_path, gone, "PgvigilCollectorBlind", [blind])


def of_databases(**stamps: str) -> dict[str, str]:
    """A collector that is expected to read each of these databases for as long as it is named here."""
    labels = 'target="shop", collector="sizes"'
    found = {f"{INTERVAL}{{{labels}}}": "60x60"}
    for database, stamp in stamps.items():
        found[f'{STAMP}{{{labels}, database="{database}"}}'] = stamp
    return found


TICKS = 'pgvigil_collector_skipped_ticks_total{{target="shop", collector="sizes", database="{}"}}'


def test_a_target_that_is_down_is_told_and_not_its_collectors_one_by_one(tmp_path: Path) -> None:
    """Those of another target are."""
    series = {
        'pgvigil_target_up{target="shop"}': "1x20 0x40",
        'pgvigil_target_up{target="crm"}': "1x60",
        f'{STAMP}{{target="shop", collector="availability"}}': "0+60x20 1200x40",
        f'{STAMP}{{target="shop", collector="slots"}}': "0+60x20 1200x40",
        f'{STAMP}{{target="shop", collector="sizes", database="shop"}}': "0+60x20 _x40",
        f'{STAMP}{{target="crm", collector="slots"}}': "0+60x20 1200x40",
        **{
            f'{INTERVAL}{{target="{target}", collector="{collector}"}}': "60x60"
            for target in ("shop", "crm")
            for collector in ("availability", "slots", "sizes")
        },
    }
    judge(tmp_path, series, "PostgresqlDown", [firing("PostgresqlDown", SHOP)])
    blind = firing("PgvigilCollectorBlind", {"target": "crm", "collector": "slots"})
    judge(tmp_path, series, "PgvigilCollectorBlind", [blind])


def test_a_database_that_was_dropped_blinds_nobody(tmp_path: Path) -> None:
    series = of_databases(shop="0+60x60", ci="0+60x20 _x40") | {
        TICKS.format("shop"): "0x60",
        TICKS.format("ci"): "0x20 _x40",
    }
    judge(tmp_path, series, "PgvigilCollectorBlind", [])


def test_a_database_that_is_not_read_since_a_restart_is_told_once(tmp_path: Path) -> None:
    """While the others of its target are read, and where none is."""
    blind = firing("PgvigilCollectorBlind", {"target": "shop", "collector": "sizes", "database": "crm"})
    for more in ({"shop": "0+60x60"}, {}):
        series = of_databases(crm="0+60x20 _x40", **more) | {
            TICKS.format(name): "0x60" for name in ("crm", *more)
        }
        judge(tmp_path, series, "PgvigilCollectorBlind", [blind])


def test_what_the_rules_ask_for_is_exported() -> None:
    known = pages(ROOT)["docs/reference/metrics.md"]
    asked = set(
        re.findall(
            r"(?<![\w:])pgvigil_[a-z0-9_]+(?=[\[{ )\n])",
            "\n".join(
                re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)(?=\n        (?:for|labels)|\n      - |\n\n)", TEXT)
            ),
        )
    )
    assert asked
    families = {name.removesuffix("_bucket") for name in asked}
    assert {name for name in families if f"`{name}`" not in known} == set()


def test_their_collectors_and_pages_are_there() -> None:
    made = pages(ROOT)
    for collector in re.findall(r"collector: (\w+) \}", TEXT):
        assert f"docs/reference/collectors/{collector}.md" in made
    for page in re.findall(r"runbook: (docs\S+)", TEXT):
        assert page in made, page
