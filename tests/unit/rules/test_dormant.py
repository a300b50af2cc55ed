"""A rule says why it cannot fire where a server has nothing for it; what has only not happened yet is no reason."""

from typing import Any

import pytest

from collectors.certificate import CertificateReading
from collectors.replication import ReplicationReading
from collectors.subscriptions import SubscriptionsReading
from collectors.wal_receiver import WalReceiverReading
from pgvigil import registry
from pgvigil.model.facts import Facts
from pgvigil.plugins import Context
from tests.support.readings import NOW
from tests.support.views import facts

OLD = facts(version_num=130_000)


def dormant(rule: str, rows: Any = None, of: Facts | None = None) -> str | None:
    return registry.rules()[rule].dormant(rows, Context(target="shop", now=NOW, facts=of))


@pytest.mark.parametrize(
    ("rule", "setting", "value"),
    [
        ("slow_query", "pg_stat_statements.track", "none"),
        ("statement_evictions", "pg_stat_statements.track", "none"),
        ("idle_in_transaction", "track_activities", "off"),
        ("long_running_query", "track_activities", "off"),
        ("dead_tuples", "track_counts", "off"),
        ("autovacuum_behind", "track_counts", "off"),
        ("prepared_transaction_old", "max_prepared_transactions", "0"),
    ],
)
def test_a_setting_that_is_off_is_named_and_one_that_is_not_known_is_no_reason(
    rule: str, setting: str, value: str
) -> None:
    why = dormant(rule, of=facts(settings={setting: value}))
    assert why is not None
    assert setting in why
    assert dormant(rule, of=facts(settings={})) is None
    assert dormant(rule) is None


@pytest.mark.parametrize("rule", ["statement_evictions", "subscription_errors"])
def test_a_version_that_does_not_count_it_is_named(rule: str) -> None:
    assert "from version 1" in (dormant(rule, SubscriptionsReading(), OLD) or "")


def test_what_is_not_at_hand_is_said() -> None:
    assert dormant("certificate_expiry", CertificateReading(None)) is not None
    assert dormant("standby_conflicts", of=facts(in_recovery=False)) == "the server is no standby"
    assert dormant("standby_conflicts", of=facts(in_recovery=True)) is None
    assert dormant("subscription_down", SubscriptionsReading(unreadable=1)) is None


def test_a_role_that_may_not_see_them_is_no_proof_that_there_are_none() -> None:
    hidden = ReplicationReading(in_recovery=False, position=1, replicas={}, hidden=True)
    assert dormant("replication_lag", hidden) is None
    assert dormant("replication_lag", WalReceiverReading()) == "the server is no standby"
