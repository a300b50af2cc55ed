"""What a session promises on a healthy server."""

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pytest
from psycopg import sql

from collectors.availability import COLLECTOR
from pgvigil.model.failure import FailureKind
from pgvigil.postgres.channel import Channel
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.frames import FrameError
from pgvigil.postgres.query import Column, Query
from pgvigil.postgres.session import Session, connect, list_databases
from pgvigil.scratch.server import ScratchServer
from tests.support.servers import Database, Server


@pytest.fixture
def session(each_database: Database) -> Iterator[Session]:
    session = connect(Dsn.parse(each_database.dsn()))
    yield session
    session.close()


class Setting(NamedTuple):
    name: str
    value: str


SETTINGS = Query(
    name="test_settings",
    row=Setting,
    columns=(Column("name", "name"), Column("value", "setting")),
    source="FROM pg_settings WHERE name = ANY (%(names)s)",
)


def settings_of(session: Session) -> dict[str, str]:
    names = [
        "statement_timeout", "lock_timeout", "default_transaction_read_only", "search_path", "work_mem",
        "application_name", "TimeZone", "client_encoding", "jit",
    ]  # fmt: skip
    return dict(session.rows(SETTINGS, {"names": names}))


def test_every_limit_holds_from_the_first_statement(session: Session) -> None:
    assert settings_of(session) == {
        "statement_timeout": "5000",
        "lock_timeout": "250",
        "default_transaction_read_only": "on",
        "search_path": "pg_catalog, pg_temp",
        "work_mem": "16384",
        "application_name": "pgvigil",
        "TimeZone": "UTC",
        "client_encoding": "UTF8",
        "jit": "off",
    }


def test_limits_win_over_the_options_of_the_dsn_and_of_the_database(each_database: Database) -> None:
    each_database.execute(f"ALTER DATABASE {each_database.name} SET statement_timeout = '1h'")
    session = connect(Dsn.parse(each_database.dsn(options="-c work_mem=1GB")))
    settings = settings_of(session)
    session.close()
    assert (settings["work_mem"], settings["statement_timeout"]) == ("16384", "5000")


def test_facts_tell_the_server_the_role_and_its_columns(each_database: Database) -> None:
    each_database.execute("CREATE SCHEMA stats")
    each_database.execute("CREATE EXTENSION pg_stat_statements SCHEMA stats")
    session = connect(Dsn.parse(each_database.dsn()))
    facts = session.facts
    session.close()
    assert facts.version_num == each_database.server.version_num
    assert facts.database == each_database.name
    assert (facts.superuser, facts.monitor, facts.in_recovery) == (True, True, False)
    assert facts.started_at.tzinfo is UTC
    assert facts.started_at < datetime.now(UTC)
    assert facts.system_identifier
    assert facts.extensions["pg_stat_statements"][0] == "stats"
    assert facts.has("pg_stat_statements.toplevel") is (facts.version_num >= 140000)
    assert facts.has("pg_stat_statements_info.dealloc") is (facts.version_num >= 140000)
    assert facts.has("pg_constraint.convalidated")
    assert not facts.has("pg_constraint.nonsense")
    assert (facts.max_connections, facts.reserved_connections) == (100, 3)


def test_facts_of_a_role_without_privileges_say_so(each_database: Database) -> None:
    """Nothing in the discovery needs more than CONNECT."""
    role = f"plain_{each_database.name}"
    each_database.execute(f"CREATE ROLE {role} LOGIN")
    session = connect(Dsn.parse(each_database.dsn(user=role)))
    facts = session.facts
    session.close()
    each_database.execute(f"DROP ROLE {role}")
    assert (facts.role, facts.superuser, facts.monitor) == (role, False, False)
    assert facts.max_connections == 100
    assert "shared_preload_libraries" not in facts.settings


def test_rediscovery_sees_an_extension_that_came_later(session: Session, each_database: Database) -> None:
    assert "pg_stat_statements" not in session.facts.extensions
    each_database.execute("CREATE EXTENSION pg_stat_statements")
    assert session.rediscover().has("pg_stat_statements.queryid")
    assert "pg_stat_statements" in session.facts.extensions


def test_columns_are_asked_for_once_and_again_when_one_is_missing(
    session: Session, each_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its databases are connected to every minute, and the answer has thousands of names."""
    asked: list[str] = []
    ask = Channel.ask

    def counted(channel: Channel, text: str, *others: Any, **options: Any) -> Any:
        asked.append(text)
        return ask(channel, text, *others, **options)

    monkeypatch.setattr(Channel, "ask", counted)

    def looked() -> bool:
        found = any("pg_attribute" in text for text in asked)
        asked.clear()
        return found

    again = connect(Dsn.parse(each_database.dsn()))
    assert asked
    assert not looked()
    assert again.facts.columns == session.facts.columns
    again.rediscover()
    assert looked()
    each_database.execute("CREATE EXTENSION pg_stat_statements")
    with_more = connect(Dsn.parse(each_database.dsn()))
    assert with_more.facts.has("pg_stat_statements.queryid")
    again.close()
    with_more.close()


def test_databases_are_listed_with_what_keeps_us_out(session: Session) -> None:
    listed = {each.name: each for each in list_databases(session)}
    assert listed[session.database].connectable
    assert listed[session.database].has_connect_privilege
    assert not listed["template0"].connectable
    assert listed["template1"].template


def test_availability_is_a_real_answer(session: Session) -> None:
    availability = COLLECTOR.read(session)
    assert (availability.up, availability.in_recovery) == (True, False)
    assert availability.started_at == session.facts.started_at


class Numbers(NamedTuple):
    small: int
    big: int
    ratio: float
    flag: bool
    relation: int
    stamp: datetime


NUMBERS = Query(
    name="test_numbers",
    row=Numbers,
    columns=(
        Column("small", "n::int4"),
        Column("big", "-n * 1000000000000::int8"),
        Column("ratio", "n / 4::float8"),
        Column("flag", "n % 2 = 0"),
        Column("relation", "(4294967295 - n)::oid"),
        Column("stamp", "'2026-11-22 20:00:00.000001+00'::timestamptz + n * interval '1 s'"),
    ),
    source="FROM generate_series(1::int8, 1000) n",
)


def test_frame_holds_the_same_values_as_rows(session: Session) -> None:
    rows = session.rows(NUMBERS)
    frame = session.frame(NUMBERS)
    assert len(frame) == len(rows) == 1000
    for name in ("small", "big", "ratio", "flag", "relation"):
        assert frame[name].tolist() == [getattr(row, name) for row in rows]
    stamps = [row.stamp.replace(tzinfo=None) for row in rows]
    assert frame["stamp"].tolist() == stamps
    assert {name: column.dtype for name, column in frame.columns.items()} == {
        "small": np.int64,
        "big": np.int64,
        "ratio": np.float64,
        "flag": np.bool_,
        "relation": np.int64,
        "stamp": np.dtype("datetime64[us]"),
    }


class One(NamedTuple):
    value: object


def one(sql: str, source: str = "") -> Query[One]:
    return Query(name="test_one", row=One, columns=(Column("value", sql),), source=source)  # type: ignore[arg-type]


def test_frame_of_no_rows_has_empty_columns_of_the_right_type(session: Session) -> None:
    frame = session.frame(one("1.5::float8", "FROM pg_class WHERE false"))
    assert (len(frame), frame["value"].dtype) == (0, np.float64)


@pytest.mark.parametrize("sql", ["nullif(n, 2)", "'text'"])
def test_frame_refuses_null_and_text_by_the_columns_name(session: Session, sql: str) -> None:
    with pytest.raises(FrameError, match="column value"):
        session.frame(one(sql, "FROM generate_series(1, 3) n"))


def test_a_text_without_parameters_may_hold_percent_signs(session: Session) -> None:
    assert session.rows(one("'a' LIKE '%'")) == (One(True),)


def test_a_session_cannot_write(session: Session) -> None:
    with pytest.raises(ReadError) as caught:
        session.rows(one("1", "FROM pg_class FOR UPDATE"))
    assert caught.value.failure.sqlstate == "25006"


def test_nobody_can_shadow_a_function_of_ours(each_database: Database) -> None:
    """search_path holds pg_catalog only, whatever the role's default says."""
    each_database.execute(
        "CREATE FUNCTION public.pg_is_in_recovery(int DEFAULT 0) RETURNS bool LANGUAGE sql AS 'SELECT true'"
    )
    each_database.execute(f"ALTER DATABASE {each_database.name} SET search_path = public, pg_catalog")
    session = connect(Dsn.parse(each_database.dsn()))
    in_recovery = COLLECTOR.read(session).in_recovery
    session.close()
    assert in_recovery is False


def test_within_gives_a_collector_its_own_timeout_and_takes_it_back(session: Session) -> None:
    with session.within(0.2), pytest.raises(ReadError) as caught:
        session.rows(one("pg_sleep(60)"))
    assert caught.value.failure.kind is FailureKind.TIMEOUT
    assert not session.broken
    assert settings_of(session)["statement_timeout"] == "5000"


def test_a_missing_column_is_undefined_and_the_session_lives_on(session: Session) -> None:
    with pytest.raises(ReadError) as caught:
        session.rows(one("nonsense", "FROM pg_class"))
    assert caught.value.failure.kind is FailureKind.UNDEFINED
    assert session.rows(one("1")) == (One(1),)


def test_who_left_can_come_back_at_once(each_server: Server) -> None:
    """The slot is free when `leave` returns: a role with a single connection is never refused its next one."""
    role = f"single_{uuid.uuid4().hex[:8]}"
    name = sql.Identifier(role)
    with each_server.connect() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE pg_monitor CONNECTION LIMIT 1").format(name))
        try:
            for _ in range(60):
                connect(Dsn.parse(each_server.dsn(user=role))).leave()
        finally:
            admin.execute(sql.SQL("DROP ROLE {}").format(name))


def test_leaving_a_frozen_server_takes_its_moment_and_no_more(own_server: ScratchServer) -> None:
    session = connect(Dsn.parse(own_server.dsn()))
    own_server.sigstop()
    try:
        left = threading.Thread(target=session.leave, daemon=True)
        left.start()
        left.join(5)
        assert not left.is_alive()
    finally:
        own_server.sigcont()
    assert session.broken
