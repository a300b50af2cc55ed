"""What a page may have to show: made-up targets, for tests of how it looks and behaves."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from daemon.board import CollectorView, TargetView, TopStatement, TopStatements
from pgvigil.model.evidence import Block, BlockKind, Branch, Evidence, Figure, Step
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.problems import Problem
from tests.support.views import T0, down_view, incident, view

LONG_NAME = "a_table_with_a_name_of_sixty_three_letters_as_postgresql_allows"
TEXTS = (
    "SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = $1",
    f"UPDATE {LONG_NAME} SET reserved = reserved + $1 WHERE sku = $2",
    None,
    "INSERT INTO audit_log (actor, what, at) VALUES ($1, $2, now())",
)


def read(ago_s: float = 3.0) -> tuple[CollectorView, ...]:
    """The readings of a target whose newest is `ago_s` old at T0."""
    last = T0 - timedelta(seconds=ago_s)
    return (
        CollectorView(collector="availability", database=None, interval_s=10, last_success_at=last, runs=4),
    )


def waiter(pid: int, statement: str, *below: Branch, hidden: int = 0) -> Branch:
    return Branch(
        name=str(pid),
        state="waits 3m48s",
        wants="AccessExclusive on invoices",
        figures=(Figure("app", "migrate"), Figure("user", "deploy")),
        statement=statement,
        below=below,
        hidden=hidden,
    )


def tree() -> Branch:
    """A root, a queued ALTER TABLE, and the readers behind it."""
    readers = (waiter(9033 + n, "SELECT * FROM invoices WHERE customer = $1") for n in range(3))
    return Branch(
        name="8123",
        state="idle in transaction 4m12s",
        holds="RowExclusive on invoices",
        figures=(
            Figure("app", "billing"),
            Figure("user", "ci"),
            Figure("db", "shop"),
            Figure("xact", "4m20s"),
        ),
        statement="UPDATE invoices SET state = $1 WHERE id = $2",
        running=False,
        below=(
            waiter(9020, "ALTER TABLE invoices ADD COLUMN note text", *readers, hidden=14),
            waiter(9011, "UPDATE invoices SET state = $1 WHERE id = $2"),
        ),
    )


def pile_up(**changes: Any) -> Incident:
    """A lock pile-up with everything that its account can have."""
    same = "WHERE pid = 8123 AND backend_start = '2026-11-22T19:00:00+00:00'"
    plain = incident(
        pending_since=T0 - timedelta(minutes=5),
        evidence=Evidence(
            impact="23 of 120 connections wait; at this pace the last connection slot is taken in 3m10s.",
            figures=(
                Figure("Waiters", "23"),
                Figure("Longest wait", "4m12s"),
                Figure("Root", "pid 8123, connected 2026-11-22 19:00:00Z"),
                Figure("Application", LONG_NAME),
            ),
            blocks=(Block(BlockKind.TREE, "Who waits for whom", "8123\n└─ 9011", tree()),),
            cause="ALTER TABLE by pid 9020 (ci, user ci) is queued behind pid 8123 (idle in transaction).",
            notes=("3 more waiters on this server counted, not followed.",),
        ),
        steps=(
            Step("See what it does now.", f"SELECT pid, state, query FROM pg_stat_activity {same}"),
            Step("Ask the root's owner to commit or roll back."),
            Step("Last: end it.", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity {same}"),
        ),
    )
    return replace(plain, **changes)


def slow(**changes: Any) -> Incident:
    """A warning whose evidence is a statement."""
    shown = Block(BlockKind.SQL, "Statement", "SELECT *\nFROM " + LONG_NAME * 3 + "\nWHERE status = $1")
    plain = incident(
        id=9,
        rule="slow_query",
        severity=Level.WARNING,
        summary="SELECT takes 812 ms a call, 45 % of the server's time",
        evidence=Evidence(figures=(Figure("Mean", "812 ms"),), blocks=(shown,)),
    )
    return replace(plain, **changes)


def part(number: int) -> Incident:
    """An incident that the pile-up accounts for."""
    return slow(id=number, parent_id=7, suppressed_by="INC-7", summary="pid 8123 idle in transaction")


def top(rows: int = 10) -> TopStatements:
    return TopStatements(
        since=T0 - timedelta(minutes=5),
        until=T0,
        elapsed_s=300.0,
        exec_s=220.0,
        statements=tuple(
            TopStatement(
                database="shop",
                queryid=-7312345678901234567 + n,
                text=TEXTS[n % 4],
                own=n == 7,
                calls=3 * 10 ** (n % 5),
                exec_s=100 / (n + 1),
                rows=5,
                share=0.45 / (n + 1),
            )
            for n in range(rows)
        ),
    )


def troubled() -> tuple[TargetView, ...]:
    """A pile-up with its parts, a slow statement, a target that is down with what cannot be judged, a quiet one."""
    down = incident(id=12, rule="target_down", target="legacy", summary="legacy does not answer: refused")
    blind = slow(
        id=11,
        target="legacy",
        state=State.UNKNOWN,
        reason="the target cannot be reached",
        summary="a slow one",
    )
    return (
        view(collectors=read(), top=top(), incidents=(pile_up(), part(20), part(21), slow())),
        down_view(name="legacy", collectors=read(130), incidents=(down, blind), problems=()),
        view(name="reports", collectors=read(), top=top(4), incidents=(), problems=(), waiters=0),
    )


def fleet(size: int = 200) -> tuple[TargetView, ...]:
    """Many targets, a few of them in trouble, all with one set-up problem."""
    return tuple(_one_of_many(number) for number in range(size))


def _one_of_many(number: int) -> TargetView:
    name = f"db-{number:03}"
    lacking = Problem(slug="not-pg-monitor", sentence=f"{name}: no.", fix="GRANT pg_monitor TO pgvigil")
    known: dict[str, Any] = {
        "name": name,
        "collectors": read(),
        "labels": {"env": "prod" if number % 2 else "stage", "shard": str(number)},
        "problems": (lacking,),
        "top": top(20),
        "incidents": (),
    }
    if number % 40 == 7:
        return down_view(**{**known, "incidents": (incident(id=100 + number, target=name),)})
    return view(**{**known, "waiters": 0})


def storm(size: int = 150) -> tuple[TargetView, ...]:
    """A pile-up on each of many targets."""
    return tuple(
        view(name=f"db-{n:03}", collectors=read(), incidents=(pile_up(id=1000 + n, target=f"db-{n:03}"),))
        for n in range(size)
    )
