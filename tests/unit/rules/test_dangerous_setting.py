"""dangerous_setting: where it is of no meaning, and what a finding may hold."""

from typing import Any

import pytest

from alerts.rules.dangerous_setting import RULE, DangerousSettingParams
from collectors.settings import Override, Role, Setting, SettingsReading
from pgvigil.model.facts import Facts
from pgvigil.model.finding import Finding
from pgvigil.model.level import Level
from pgvigil.postgres.services import AURORA
from tests.support.readings import HOSTILE, STARTED, assert_harmless, context, snapshot


def judge(
    settings: dict[str, str], *overrides: Override, service: str | None = None, **params: Any
) -> tuple[Finding, ...]:
    reading = SettingsReading(
        settings={
            name: Setting(name, value, waits=False, context="sighup") for name, value in settings.items()
        },
        extensions={},
        role=Role("pgvigil", 5),
        overrides=overrides,
    )
    facts = Facts(
        version_num=180000,
        version="18.0",
        database="postgres",
        system_identifier=1,
        in_recovery=False,
        started_at=STARTED,
        role="pgvigil",
        superuser=False,
        monitor=True,
        max_connections=100,
        reserved_connections=3,
        service=service,
    )
    known = context(facts=facts)
    return RULE.evaluate(snapshot(reading, "settings"), DangerousSettingParams(**params), known).findings


@pytest.mark.parametrize(
    ("service", "own"), [(AURORA, "port"), ("AlloyDB", "port"), (None, "neon.tenant_id")]
)
def test_storage_that_is_not_files_is_not_judged_by_the_settings_of_files(
    service: str | None, own: str
) -> None:
    settings = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off", own: "x"}
    assert [each.subject for each in judge(settings, service=service)] == ["setting autovacuum"]


def test_a_service_that_writes_files_is_judged() -> None:
    assert [each.subject for each in judge({"fsync": "off"}, service="Amazon RDS")] == ["setting fsync"]


def test_a_plain_server_is_judged_by_all_of_them() -> None:
    found = judge({"fsync": "off", "full_page_writes": "on", "zero_damaged_pages": "on"})
    assert [(each.subject, each.level) for each in found] == [
        ("setting fsync", Level.CRITICAL),
        ("setting zero_damaged_pages", Level.CRITICAL),
    ]


def test_a_boolean_of_a_role_is_known_however_it_is_written() -> None:
    found = judge(
        {},
        *(
            Override(f"r{n}", None, "zero_damaged_pages", value)
            for n, value in enumerate(("on", "TRUE", "1", "off"))
        ),
    )
    assert [each.subject for each in found] == [f"setting zero_damaged_pages of role r{n}" for n in range(3)]


def test_what_a_role_gives_up_for_itself_is_not_told() -> None:
    assert judge({}, Override("etl", None, "synchronous_commit", "off")) == ()


@pytest.mark.parametrize(
    ("role", "database"), [(HOSTILE, None), (None, HOSTILE), (HOSTILE, HOSTILE), (None, None)]
)
def test_hostile_names_do_no_harm(role: str | None, database: str | None) -> None:
    (found,) = judge({}, Override(role, database, "session_replication_role", "replica"))
    assert_harmless(found)
    assert found.subject.isprintable()
    assert (found.steps[0].sql or "").isprintable()
