"""blocking_chain: one finding per root blocker, with the tree and the safe order of steps."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.rules.blocking_chain import RULE, BlockingChainParams
from collectors.lock_waits import Prepared, WaitGraph
from pgvigil.model.evidence import Branch
from pgvigil.model.facts import Facts
from pgvigil.model.finding import Finding, Judgement, Scope
from pgvigil.model.level import Level
from tests.support.readings import (
    HOSTILE,
    STARTED,
    assert_harmless,
    context,
    lock,
    snapshot,
    wait_graph,
    wait_session,
)

ROOT = wait_session(8123, state="idle in transaction", state_age_s=362.0, xact_age_s=370.0)


def judge(graph: WaitGraph, before: WaitGraph | None = None, **known: Any) -> Judgement:
    reading = snapshot(graph, "lock_waits", interval_s=5.0)
    if before is not None:
        known["previous"] = replace(reading, rows=before, mono_s=reading.mono_s - 5.0)
    params = known.pop("params", BlockingChainParams())
    return RULE.evaluate(reading, params, context(**known))


def only(judgement: Judgement) -> Finding:
    (finding,) = judgement.findings
    return finding


def waiting(*ages_s: float) -> WaitGraph:
    """Sessions 9001, 9002 ... wait for the root, so long."""
    pids = range(9001, 9001 + len(ages_s))
    waits = tuple(lock(pid, wait_age_s=age_s) for pid, age_s in zip(pids, ages_s, strict=True))
    return wait_graph(dict.fromkeys(pids, (8123,)), sessions=(ROOT,), waits=waits)


def pile_up() -> WaitGraph:
    """The root changed a row; somebody wants that row; an ALTER TABLE queues; readers queue behind it."""
    return wait_graph(
        {9011: (8123,), 9020: (8123, 9011), 9033: (9020,), 9034: (9020,)},
        sessions=(ROOT, wait_session(9020, query="ALTER TABLE invoices ADD COLUMN note text")),
        waits=(
            lock(9011, locktype="transactionid", tag="transactionid/7", relation_oid=None, relation=None),
            lock(9020, mode="AccessExclusiveLock", wait_age_s=228.0),
            lock(9033, mode="AccessShareLock", wait_age_s=200.0),
        ),
        held=(
            lock(8123, granted=True, wait_age_s=None),
            lock(9011, granted=True, locktype="tuple", tag="tuple/5/16412/0/1", wait_age_s=None),
        ),
    )


@pytest.mark.parametrize(
    ("wait_s", "level"),
    [(0.0, Level.HOLD), (29.0, Level.HOLD), (30.0, Level.WARNING), (120.0, Level.CRITICAL)],
)
def test_the_longest_wait_is_graded_and_any_waiter_holds(wait_s: float, level: Level) -> None:
    judgement = judge(waiting(0.0, wait_s))
    assert only(judgement).level is level
    assert judgement.scope == Scope()


def test_nobody_waits_is_recovered_everywhere() -> None:
    assert judge(WaitGraph(connections=3)) == Judgement((), Scope())


def test_a_clear_that_is_set_lets_short_waits_recover() -> None:
    params = BlockingChainParams(clear="5s")
    assert only(judge(waiting(6.0), params=params)).level is Level.HOLD
    assert judge(waiting(5.0), params=params).findings == ()


def test_a_crowd_in_two_samples_warns_before_anybody_has_waited_long() -> None:
    crowd = waiting(1.0, 1.0, 1.0)
    assert only(judge(crowd)).level is Level.HOLD
    assert only(judge(crowd, waiting(1.0, 1.0))).level is Level.HOLD
    assert only(judge(crowd, crowd)).level is Level.WARNING
    assert only(judge(waiting(150.0, 1.0, 1.0), crowd)).level is Level.CRITICAL


def test_a_sample_from_long_ago_is_not_the_one_before() -> None:
    crowd = waiting(1.0, 1.0, 1.0)
    reading = snapshot(crowd, "lock_waits", interval_s=5.0)
    old = replace(reading, mono_s=reading.mono_s - 60.0)
    assert only(RULE.evaluate(reading, BlockingChainParams(), context(previous=old))).level is Level.HOLD


def test_many_victims_of_one_root_are_one_finding_that_explains_them_all() -> None:
    finding = only(judge(waiting(*[40.0] * 40)))
    assert finding.subject == ROOT.key
    assert finding.summary == "40 sessions blocked 40s by pid 8123 (idle in transaction)"
    assert len([entity for entity in finding.explains if entity.startswith("session ")]) == 41
    assert "query 10001" in finding.explains
    assert RULE.absorbs == {
        "idle_in_transaction",
        "long_transaction",
        "long_running_query",
        "prepared_transaction_old",
        "slow_query",
    }
    assert RULE.linger


def test_the_tree_shows_root_queue_locks_and_redacted_statements() -> None:
    tree = only(judge(pile_up())).evidence.blocks[0].text
    assert tree.splitlines() == [
        "8123 idle in transaction 6m02s  app=app8123  user=ci_user  db=shop  xact 6m10s",
        "│  last: UPDATE invoices SET card = $1 WHERE id = $2",
        "│  holds: RowExclusive on invoices",
        "├─ 9020 waits 3m48s  AccessExclusive on invoices  ALTER TABLE invoices ADD COLUMN note text",
        "│  ├─ 9033 waits 3m20s  AccessShare on invoices  UPDATE invoices SET card = $1 WHERE id = $2",
        "│  └─ 9034 waits 10s  RowExclusive on invoices  UPDATE invoices SET card = $1 WHERE id = $2",
        "└─ 9011 waits 10s  RowExclusive on a row of invoices (its transaction)  UPDATE invoices SET card = $1 WHERE id = $2",
    ]


def test_the_tree_is_also_there_for_those_who_draw_it_themselves() -> None:
    """The same sessions as in the text, in the same order and place."""
    root = only(judge(pile_up())).evidence.blocks[0].tree
    assert root is not None
    assert (root.name, root.state) == ("8123", "idle in transaction 6m02s")
    assert not root.running
    (queued, row) = root.below
    assert [each.name for each in (queued, *queued.below, row)] == ["9020", "9033", "9034", "9011"]
    assert queued.wants == "AccessExclusive on invoices"
    assert queued.state == "waits 3m48s"
    assert queued.statement == "ALTER TABLE invoices ADD COLUMN note text"


def test_the_queued_ddl_is_named_as_the_likely_cause_and_cancelled_first() -> None:
    finding = only(judge(pile_up()))
    assert (
        "ALTER TABLE by pid 9020 (app9020, user ci_user) is queued behind pid 8123" in finding.evidence.cause
    )
    commands = [step.sql for step in finding.steps if step.sql]
    assert ["cancel" in sql for sql in commands] == [False, True, False]
    assert "pid = 9020" in commands[1]
    assert "pg_terminate_backend" in commands[2]
    assert "pid = 8123 AND backend_start = '2026-11-22T17:14:05+00:00'" in commands[2]


def test_a_working_root_is_cancelled_before_it_is_terminated() -> None:
    finding = only(judge(wait_graph({2: (1,)})))
    commands = [step.sql or "" for step in finding.steps]
    assert ["cancel" in sql for sql in commands] == [False, True, False]
    assert "terminate" in commands[-1]


@pytest.mark.parametrize("kind", ["autovacuum worker", "walsender", "logical replication worker"])
def test_no_step_ends_a_root_that_is_not_a_client(kind: str) -> None:
    finding = only(judge(wait_graph({2: (1,)}, sessions=(wait_session(1, backend_type=kind),))))
    assert not any("terminate" in (step.sql or "") or "cancel" in (step.sql or "") for step in finding.steps)


def test_a_prepared_root_is_ended_by_its_gid_and_never_by_pid() -> None:
    prepared = Prepared("it's\u202e", 7200.0, HOSTILE, "app")
    graph = wait_graph({2: ("it's\u202e",)}, prepared=(prepared,), held=(lock(0, gid="it's\u202e"),))
    finding = only(judge(graph))
    assert_harmless(finding)
    assert [step.sql for step in finding.steps] == [
        r"SELECT * FROM pg_prepared_xacts WHERE gid = U&'it''s\202E'",
        r"ROLLBACK PREPARED U&'it''s\202E'",
    ]
    assert "holds: RowExclusive on invoices" in finding.evidence.blocks[0].text


def test_growth_is_told_with_the_time_until_the_slots_are_gone() -> None:
    facts = Facts(
        version_num=160000,
        version="16",
        database="postgres",
        system_identifier=1,
        in_recovery=False,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        role="pgvigil",
        superuser=False,
        monitor=True,
        max_connections=200,
        reserved_connections=10,
    )
    impact = only(judge(waiting(*[9.0] * 12), waiting(*[4.0] * 2), facts=facts)).evidence.impact
    assert impact == (
        "12 of 120 connections wait; the queue grows by 2.0 sessions a second, and at this pace the last"
        " connection slot is taken in 35s."
    )


def test_a_relation_of_another_database_is_named_as_soon_as_its_name_is_known() -> None:
    graph = wait_graph({2: (1,)}, waits=(lock(2, relation=None),))
    unknown = only(judge(graph, database_names={5: "shop"})).evidence.blocks[0].text
    known = only(judge(graph, relation=lambda _d, oid: f"t{oid}")).evidence.blocks[0].text
    assert "RowExclusive on relation 16412 of shop" in unknown
    assert "RowExclusive on t16412" in known


def test_two_hundred_waiters_fit_into_a_message_and_are_all_counted() -> None:
    finding = only(judge(waiting(*[40.0] * 200)))
    tree = finding.evidence.blocks[0].text
    assert len(tree) < 3000
    assert tree.endswith("└─ ... 194 more")


def test_a_deep_and_wide_tree_is_cut_and_counted() -> None:
    blockers: dict[int, tuple[int | str, ...]] = {n: ((n - 2) // 4 + 1,) for n in range(2, 342)}
    lines = only(judge(wait_graph(blockers))).evidence.blocks[0].text.splitlines()
    assert len(lines) == 30
    assert lines[-1].endswith("more lines")
    assert any("more behind it" in line for line in lines)


def test_the_drawn_tree_counts_all_that_it_does_not_show() -> None:
    blockers = {pid: (8123,) if pid < 9010 else (9001,) for pid in range(9001, 9200)}
    root = only(judge(wait_graph(blockers))).evidence.blocks[0].tree
    assert root is not None
    assert counted_in(root) == 199


def counted_in(branch: Branch) -> int:
    return branch.hidden + sum(1 + counted_in(each) for each in branch.below)


def test_waiters_that_were_not_followed_leave_other_chains_unknown() -> None:
    graph = replace(waiting(40.0), unexamined=1700)
    judgement = judge(graph)
    assert judgement.scope.covers("shop", ROOT.key)
    assert not judgement.scope.covers("shop", "session 1@x")
    assert only(judgement).evidence.notes == ("1,700 more waiters on this server counted, not followed.",)


def test_a_role_that_cannot_see_who_waits_proves_nothing() -> None:
    assert not judge(WaitGraph(connections=3, blind=True)).scope.covers("shop", ROOT.key)


def test_hostile_names_and_statements_do_no_harm() -> None:
    root = wait_session(
        1, application=HOSTILE, user_name=HOSTILE, database=HOSTILE, query=f"SELECT '4111-1111' {HOSTILE}"
    )
    graph = wait_graph({2: (1,)}, sessions=(root,), waits=(lock(2, relation=HOSTILE),))
    finding = only(judge(graph))
    assert_harmless(finding)
    assert len(finding.evidence.blocks[0].text.splitlines()) == 3


def test_the_identity_of_a_root_includes_when_it_connected() -> None:
    later = wait_session(8123, backend_start=STARTED.replace(year=2027))
    assert only(judge(wait_graph({2: (8123,)}, sessions=(later,)))).subject != ROOT.key
