"""Every kind of issue in a plan that a real server ran, and a healthy twin of that plan that has none of it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from daemon.cli import codes, main
from queries.plans.issue import PlanIssue, issues, kinds
from queries.plans.measure import Measured
from tests.support.plans import RAN, explain, explain_text
from tests.support.servers import Database

SMALL = {"work_mem": "64kB", "hash_mem_multiplier": "1"}
AMPLE = {"work_mem": "64MB"}
WORKERS = {
    "max_parallel_workers_per_gather": 2,
    "parallel_setup_cost": 0,
    "parallel_tuple_cost": 0,
    "min_parallel_table_scan_size": 0,
}
BITMAP = {"enable_seqscan": "off", "enable_indexscan": "off"}
HASH = {"enable_nestloop": "off", "enable_mergejoin": "off"}
LOOP = {
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_indexscan": "off",
    "enable_bitmapscan": "off",
}
SUBQUERY = "SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c"
DISTANT = "SELECT id, note FROM orders ORDER BY id"
WIDE_JOIN = "SELECT count(a.note || b.note) FROM orders a JOIN orders b ON a.id = b.id + 1"


@dataclass(frozen=True)
class Case:
    ill: str
    node: str
    says: str
    healthy: str
    ill_settings: dict[str, Any] = field(default_factory=dict)
    healthy_settings: dict[str, Any] = field(default_factory=dict)


CASES = {
    "filtered_seq_scan": Case(
        "SELECT * FROM orders WHERE status = 'open'",
        "Seq Scan on orders",
        "2,000 blocks of orders are read, and 99.8% of the rows are thrown away by (status = 'open'::text)",
        "SELECT * FROM orders WHERE status = 'done'",
    ),
    "weak_index": Case(
        "SELECT * FROM orders WHERE created_at < '2026-01-15' AND status = 'open'",
        "on orders",
        "the index does not know (status = 'open'::text)",
        "SELECT * FROM orders WHERE created_at < '2026-01-15' AND status = 'done'",
    ),
    "heap_fetches": Case(
        "SELECT count(*) FROM unvacuumed WHERE id < 20000",
        "Index Only Scan using unvacuumed_pkey on unvacuumed",
        "visits the table 19,999 times for 19,999 rows",
        "SELECT count(*) FROM orders WHERE id < 20000",
        {"enable_seqscan": "off", "enable_bitmapscan": "off"},
        {"enable_seqscan": "off", "enable_bitmapscan": "off"},
    ),
    "lossy_bitmap": Case(
        "SELECT count(total) FROM orders WHERE customer_id < 1500",
        "Bitmap Heap Scan on orders",
        "The bitmap did not fit into work_mem",
        "SELECT count(total) FROM orders WHERE customer_id < 1500",
        BITMAP | SMALL,
        BITMAP | AMPLE,
    ),
    "sort_on_disk": Case(
        "SELECT * FROM orders ORDER BY note, total",
        "Sort",
        "The sort by note, total did not fit into work_mem",
        "SELECT * FROM orders ORDER BY note, total",
        SMALL,
        AMPLE,
    ),
    "hash_spill": Case(
        WIDE_JOIN, "Hash", "did not fit into memory and was split", WIDE_JOIN, HASH | SMALL, HASH | AMPLE
    ),
    "inner_without_index": Case(
        "SELECT * FROM orders o LEFT JOIN customers c ON c.name = 'name ' || o.customer_id WHERE o.id < 100",
        "Seq Scan on customers c",
        "are gone through 99 times",
        "SELECT * FROM orders o LEFT JOIN customers c ON c.id = o.customer_id WHERE o.id < 100",
        LOOP,
    ),
    "subplan_per_row": Case(
        SUBQUERY,
        "Aggregate",
        "is run 2,000 times",
        "SELECT c.name, o.n FROM customers c LEFT JOIN "
        "(SELECT customer_id, count(*) AS n FROM orders GROUP BY 1) o ON o.customer_id = c.id",
    ),
    "large_offset": Case(
        f"{DISTANT} LIMIT 20 OFFSET 40000",
        "Limit",
        "40,020 rows were made to return 20",
        "SELECT id, note FROM orders WHERE id > 40000 ORDER BY id LIMIT 20",
    ),
    "parallel_shortfall": Case(
        "SELECT count(*) FROM orders WHERE note LIKE '%y%'",
        "Gather",
        "0 of 2 planned workers came",
        "SELECT count(*) FROM orders WHERE note LIKE '%y%'",
        WORKERS | {"max_parallel_workers": 0},
        WORKERS,
    ),
    "cast_on_column": Case(
        "SELECT * FROM orders WHERE id = 4711::numeric",
        "Seq Scan on orders",
        "id of orders is cast to numeric in each row",
        "SELECT * FROM orders WHERE id = 4711",
    ),
}


@pytest.fixture(scope="module")
def prepared(shop: Database) -> Database:
    with shop.connect() as connection:
        connection.execute("CREATE TABLE unvacuumed (id int PRIMARY KEY) WITH (autovacuum_enabled = off)")
        connection.execute("INSERT INTO unvacuumed SELECT generate_series(1, 30000)")
        connection.execute("ANALYZE unvacuumed")
    return shop


def seen(database: Database, query: str, settings: dict[str, Any]) -> dict[str, PlanIssue]:
    return {each.kind.name: each for each in issues(Measured(explain(database, query, **settings)))}


def test_every_kind_has_its_case() -> None:
    assert set(CASES) == set(kinds())


@pytest.mark.parametrize("name", CASES)
def test_it_is_seen_where_it_is(prepared: Database, name: str) -> None:
    case = CASES[name]
    found = seen(prepared, case.ill, case.ill_settings)
    assert name in found
    sight = found[name].sight
    assert case.node in sight.node.label
    assert case.says in sight.says
    assert sight.evidence
    assert (found[name].share_of_blocks or 0) > 0


@pytest.mark.parametrize("name", CASES)
def test_its_healthy_twin_has_it_not(prepared: Database, name: str) -> None:
    case = CASES[name]
    assert name not in seen(prepared, case.healthy, case.healthy_settings)


@pytest.mark.parametrize("name", CASES)
def test_estimates_alone_accuse_nobody(prepared: Database, name: str) -> None:
    case = CASES[name]
    plan = explain(prepared, case.ill, options="FORMAT JSON", **case.ill_settings)
    assert issues(Measured(plan)) == ()


def test_a_cast_is_told_instead_of_the_scan_that_it_makes(prepared: Database) -> None:
    assert set(seen(prepared, CASES["cast_on_column"].ill, {})) == {"cast_on_column"}


def test_a_pattern_that_no_usual_index_serves_is_not_sent_to_one(prepared: Database) -> None:
    [issue] = seen(prepared, "SELECT * FROM orders WHERE note LIKE '%y%'", {}).values()
    assert issue.kind.name == "filtered_seq_scan"
    assert "gin_trgm_ops" in issue.sight.advice


def test_more_memory_is_more_than_there_was(prepared: Database) -> None:
    case = CASES["lossy_bitmap"]
    told = seen(prepared, case.ill, {**case.ill_settings, "work_mem": "64kB"})["lossy_bitmap"].sight.advice
    assert "SET LOCAL work_mem = '1MB'" in told
    plan = explain(prepared, case.ill, options="ANALYZE, BUFFERS, FORMAT JSON", **case.ill_settings)
    [unknown] = (each for each in issues(Measured(plan)) if each.kind.name == "lossy_bitmap")
    assert "SET LOCAL work_mem = '8MB'" in unknown.sight.advice


def test_a_loop_is_weighed_as_a_whole(prepared: Database) -> None:
    case = CASES["inner_without_index"]
    issue = seen(prepared, case.ill, case.ill_settings)["inner_without_index"]
    assert issue.share_of_blocks == 1.0


def test_what_cannot_be_seen_without_buffers_is_said(prepared: Database, tmp_path, capsys) -> None:
    file = tmp_path / "plan.json"
    query = CASES["filtered_seq_scan"].ill
    file.write_text(
        explain_text(prepared, query, options="ANALYZE, BUFFERS OFF, FORMAT JSON"), encoding="utf-8"
    )
    assert main(["plan", "explain", str(file)]) == codes.OK
    assert "Without BUFFERS some kinds of issues cannot be seen" in capsys.readouterr().out


HEALTHY = (
    "SELECT * FROM orders WHERE id = 17",
    "SELECT * FROM orders WHERE id IN (1, 5, 9)",
    "SELECT * FROM customers WHERE country = 'c3'",
    "SELECT * FROM orders WHERE customer_id = 8 ORDER BY created_at DESC LIMIT 10",
    "SELECT * FROM orders ORDER BY created_at DESC LIMIT 20",
    "SELECT o.id, c.name FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id BETWEEN 100 AND 120",
    "SELECT count(*) FROM orders WHERE created_at >= '2026-02-01' AND created_at < '2026-02-02'",
    "SELECT name FROM customers c WHERE id < 50 AND EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id)",
    "SELECT status, count(*) FROM orders GROUP BY status",
    "SELECT * FROM customers a CROSS JOIN (VALUES (1), (2)) b",
    "SELECT sum(total) FROM orders",
    "INSERT INTO customers VALUES (1, 'x', 'y') ON CONFLICT DO NOTHING",
    "UPDATE customers SET name = name WHERE id = 5",
    "DELETE FROM customers WHERE id = -1",
)


@pytest.mark.parametrize("query", HEALTHY)
@pytest.mark.parametrize(
    "options", [RAN, "ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON"], ids=["timed", "untimed"]
)
def test_nothing_is_said_of_what_is_healthy(prepared: Database, query: str, options: str) -> None:
    assert issues(Measured(explain(prepared, query, options=options))) == ()
