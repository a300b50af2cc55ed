"""prepared_transaction_old: told with what it holds, once, and gone with it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from alerts.rules.prepared_transaction_old import RULE, PreparedTransactionOldParams
from collectors.prepared_transactions import PreparedTransaction
from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import watching
from tests.support.polling import poll
from tests.support.readings import HOSTILE, NOW, assert_harmless, context, snapshot
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

AT_ONCE = {"warning": "1ms", "critical": "1h"}


@pytest.fixture
def two_phase(start_server: StartServer) -> ScratchServer:
    return start_server(settings={"max_prepared_transactions": "5"})


@pytest.fixture
def admin(two_phase: ScratchServer) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(two_phase.dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE orders (id int)")
        yield connection


@pytest.fixture
def session(two_phase: ScratchServer) -> Iterator[Session]:
    with closing(watching.watch(two_phase.dsn())) as opened:
        yield opened


def prepare(admin: psycopg.Connection[tuple[object, ...]]) -> None:
    """And let it be older than the rules of this file ask for."""
    admin.execute("BEGIN; LOCK TABLE orders; PREPARE TRANSACTION 'lost one'")
    older = "SELECT bool_and(clock_timestamp() - prepared > '5ms') FROM pg_prepared_xacts"
    poll(lambda: admin.execute(older).fetchone() == (True,), message="it is old enough")


def test_it_is_told_with_its_locks_until_it_is_ended(
    vitals: Callable[..., Vitals], admin: psycopg.Connection[tuple[object, ...]], session: Session
) -> None:
    scene = vitals({"prepared_transaction_old": AT_ONCE})
    scene.look(session)
    assert scene.open == {}
    prepare(admin)
    scene.look(session, after_s=60)
    incident = scene.firing["prepared 'lost one'"]
    assert (incident.severity, incident.database) == (Level.WARNING, "postgres")
    assert incident.summary.startswith("Prepared transaction 'lost one' has been open for ")
    figures = {figure.name: figure.value for figure in incident.evidence.figures}
    assert figures["Owner"] == "postgres"
    assert "AccessExclusiveLock on relation" in figures["Locks"]
    (rollback,) = [step.sql for step in incident.steps if step.sql and step.sql.startswith("ROLLBACK")]
    admin.execute(rollback)
    scene.look(session, after_s=60)
    assert scene.open == {}


def test_what_it_keeps_vacuum_from_is_told_with_it(
    vitals: Callable[..., Vitals], admin: psycopg.Connection[tuple[object, ...]], session: Session
) -> None:
    scene = vitals(
        {
            "prepared_transaction_old": AT_ONCE,
            "xmin_horizon_held": {"warning": "1ms", "min_xids": 10},
        }
    )
    prepare(admin)
    scene.look(session, after_s=60)
    for _ in range(20):
        admin.execute("SELECT txid_current()")
    for _ in range(2):
        scene.look(session, after_s=60)
    told = [each for each in scene.engine.open() if each.suppressed_by is None]
    assert [each.rule for each in told] == ["prepared_transaction_old"]
    (note,) = told[0].evidence.notes
    assert "'lost one'" in note


def test_with_those_who_wait_for_it_it_is_one_incident(
    vitals: Callable[..., Vitals],
    admin: psycopg.Connection[tuple[object, ...]],
    session: Session,
    two_phase: ScratchServer,
) -> None:
    scene = vitals(
        {"prepared_transaction_old": AT_ONCE, "blocking_chain": {"warning": "1ms", "keep_firing_for": "0s"}}
    )
    prepare(admin)
    with psycopg.connect(two_phase.dsn(), autocommit=True) as waiter:
        waits = threading.Thread(target=waiter.execute, args=("SELECT count(*) FROM orders",))
        waits.start()
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        poll(lambda: admin.execute(blocked).fetchone() == (1,), 10, message="it waits")
        for _ in range(3):
            scene.look(session, after_s=60)
        told = [each for each in scene.engine.open() if each.suppressed_by is None]
        assert [each.rule for each in told] == ["blocking_chain"]
        admin.execute("ROLLBACK PREPARED 'lost one'")
        waits.join(10)
    for _ in range(3):
        scene.look(session, after_s=60)
    assert list(scene.engine.open()) == []


@pytest.mark.parametrize(
    ("age_s", "level"), [(899, None), (900, Level.WARNING), (3599, Level.WARNING), (3600, Level.CRITICAL)]
)
def test_a_quarter_of_an_hour_is_a_warning_and_an_hour_critical(age_s: float, level: Level | None) -> None:
    row = PreparedTransaction(
        gid=HOSTILE,
        owner=HOSTILE,
        database=HOSTILE,
        database_oid=16384,
        prepared_at=NOW,
        age_s=age_s,
        xid_age=7,
        locks=1,
        strongest="RowExclusiveLock",
        relations=[16400],
    )
    known = context(relation=lambda _database, _relation: HOSTILE)
    judgement = RULE.evaluate(
        snapshot((row,), "prepared_transactions"), PreparedTransactionOldParams(), known
    )
    assert [finding.level for finding in judgement.findings] == ([] if level is None else [level])
    for finding in judgement.findings:
        assert_harmless(finding)
