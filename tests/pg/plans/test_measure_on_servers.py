"""Figures of plans that a real server ran: what each node took adds up to what the plan took."""

import json
import shutil
import subprocess

import pytest

from daemon.cli import codes, main
from queries.plans.measure import Measured
from queries.plans.plan import Plan
from queries.plans.read import read
from queries.plans.shape import fingerprint
from tests.support.plans import RAN, explain, explain_text, only
from tests.support.servers import Database

CTE_TWICE = """
WITH big AS MATERIALIZED (SELECT * FROM orders WHERE status = 'open')
SELECT * FROM big a JOIN big b ON a.id = b.id + 500
"""
INIT_PLAN = "SELECT count(*) FROM orders WHERE id > (SELECT count(*) * 499 FROM orders WHERE status = 'open')"
PARALLEL = {
    "max_parallel_workers_per_gather": 2,
    "parallel_setup_cost": 0,
    "parallel_tuple_cost": 0,
    "min_parallel_table_scan_size": 0,
}


def sums(plan: Plan) -> tuple[float, float]:
    """Own times and own blocks of all nodes, as parts of those of the plan."""
    measured = Measured(plan)
    whole = measured[plan.root]
    costs = [measured[node] for node in plan.nodes()]
    assert whole.time_ms
    assert whole.blocks
    return (
        sum(cost.own_ms or 0.0 for cost in costs) / whole.time_ms,
        sum(cost.own_blocks or 0.0 for cost in costs) / whole.blocks,
    )


@pytest.mark.parametrize(
    "query", [CTE_TWICE, INIT_PLAN, "SELECT * FROM orders JOIN customers ON customer_id = customers.id"]
)
def test_what_the_nodes_took_is_what_the_plan_took(shop: Database, query: str) -> None:
    times, blocks = sums(explain(shop, query))
    assert times == pytest.approx(1.0, abs=0.02)
    assert blocks == pytest.approx(1.0)


def test_the_work_of_a_cte_is_not_the_work_of_its_readers(shop: Database) -> None:
    plan = explain(shop, CTE_TWICE)
    measured = Measured(plan)
    scan = only(plan, "Seq Scan")
    readers = [node for node in plan.nodes() if node.type == "CTE Scan"]
    assert len(readers) == 2
    assert measured.share_of_blocks(scan) == 1.0
    assert [measured[node].own_blocks for node in readers] == [0.0, 0.0]


def test_the_value_that_a_filter_waits_for_is_taken_off_where_it_is_used(shop: Database) -> None:
    plan = explain(shop, INIT_PLAN)
    measured = Measured(plan)
    scan = only(plan, "Seq Scan")
    assert measured[scan].own_blocks == measured[scan].blocks
    assert (measured.share_of_blocks(scan) or 0.0) > 0.9


def test_workers_that_were_busy_at_once_count_as_the_clock_does(shop: Database) -> None:
    plan = explain(shop, "SELECT count(*) FROM orders WHERE note LIKE '%y%'", **PARALLEL)
    [gather] = [node for node in plan.nodes() if node.type.startswith("Gather")]
    measured = Measured(plan)
    [scan] = [node for node in plan.nodes() if node.relation == "orders"]
    assert (gather.number("Workers Launched") or 0) > 0
    assert scan.loops > 1
    whole = measured[plan.root].time_ms or 0.0
    assert (measured[scan].time_ms or 0.0) <= whole
    assert measured[plan.root].blocks == measured[scan].blocks


def test_a_plan_without_analyze_has_estimates_alone(shop: Database) -> None:
    plan = explain(shop, CTE_TWICE, options="FORMAT JSON")
    measured = Measured(plan)
    assert (plan.ran, plan.timed, plan.execution_ms) == (False, False, None)
    assert measured.share_of_time(plan.root) is None
    assert measured.share_of_blocks(plan.root) is None
    assert sum(measured.share_of_cost(node) or 0.0 for node in plan.nodes()) > 0


def test_without_timing_the_blocks_are_told(shop: Database) -> None:
    plan = explain(shop, INIT_PLAN, options="ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON")
    measured = Measured(plan)
    assert plan.ran
    assert measured.share_of_time(plan.root) is None
    assert measured.share_of_blocks(only(plan, "Seq Scan"))


def test_all_that_explain_can_add_is_read(shop: Database) -> None:
    options = "ANALYZE, VERBOSE, BUFFERS, SETTINGS, WAL, FORMAT JSON"
    plan = explain(shop, "UPDATE orders SET total = total WHERE id = -1", options=options)
    assert plan.root.relation == "public.orders"


def test_constants_costs_and_run_do_not_change_the_shape(shop: Database) -> None:
    queries = [f"SELECT * FROM orders WHERE id = {id_}" for id_ in (1, 2)]
    ran = [explain(shop, query) for query in queries]
    asked = explain(shop, queries[0], options="FORMAT JSON")
    assert len({fingerprint(plan) for plan in (*ran, asked)}) == 1


def test_another_index_or_another_join_is_another_shape(shop: Database) -> None:
    query = "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id < 100"
    settings: list[dict[str, str]] = [
        {},
        {"enable_hashjoin": "off"},
        {"enable_indexscan": "off", "enable_bitmapscan": "off"},
    ]
    assert len({fingerprint(explain(shop, query, **each)) for each in settings}) == 3


def test_workers_in_any_number_are_one_shape(shop: Database) -> None:
    query = "SELECT count(*) FROM orders WHERE note LIKE '%y%'"
    plans = [
        explain(shop, query, **{**PARALLEL, "max_parallel_workers_per_gather": workers}) for workers in (1, 2)
    ]
    assert len({fingerprint(plan) for plan in plans}) == 1


def test_tomorrows_partition_is_no_new_plan(shop: Database) -> None:
    with shop.connect() as connection:
        connection.execute("CREATE TABLE events (day int, what text) PARTITION BY RANGE (day)")
        for day in range(4):
            connection.execute(
                f"CREATE TABLE events_{day} PARTITION OF events FOR VALUES FROM ({day}) TO ({day + 1})".encode()
            )
    few, more = (explain(shop, f"SELECT * FROM events WHERE day < {end}") for end in (2, 4))
    assert sum(node.type == "Seq Scan" for node in more.nodes()) == 4
    assert fingerprint(few) == fingerprint(more)


@pytest.mark.skipif(shutil.which("psql") is None, reason="there is no psql on this machine")
@pytest.mark.parametrize("form", ["aligned", "unaligned", "tuples-only"])
def test_what_psql_prints_is_read_as_it_is(shop: Database, form: str) -> None:
    how = {"aligned": ["-P", "pager=off"], "unaligned": ["-A"], "tuples-only": ["-t"]}[form]
    command = ["psql", shop.dsn(), "-X", *how, "-c", r"\timing on", "-c", f"EXPLAIN ({RAN}) {CTE_TWICE}"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = printed[printed.index("\n") + 1 :]
    assert fingerprint(read(lines)) == fingerprint(explain(shop, CTE_TWICE, options="FORMAT JSON"))


def test_the_command_shows_where_the_time_went(shop: Database, tmp_path, capsys) -> None:
    file = tmp_path / "plan.json"
    file.write_text(explain_text(shop, INIT_PLAN), encoding="utf-8")
    assert main(["plan", "explain", str(file)]) == codes.OK
    printed = capsys.readouterr().out
    assert "own time  share" in printed
    assert "1. A whole table is read for few of its rows (filtered_seq_scan)" in printed
    assert "Verify: " in printed
    assert "settings that are not the default: " in printed
    assert "[InitPlan 1 (returns $0)]" in printed or "[InitPlan 1]" in printed
    assert "Filter: (status = 'open'::text) (removed 59,880 rows)" in printed
    assert main(["plan", "explain", str(file), "--json"]) == codes.OK
    told = json.loads(capsys.readouterr().out)
    assert told["ran"] is True
    assert [issue["name"] for issue in told["issues"]] == ["filtered_seq_scan"]
    file.write_text(explain_text(shop, "SELECT * FROM orders WHERE id = 1"), encoding="utf-8")
    assert main(["plan", "explain", str(file)]) == codes.OK
    assert "No issue: 11 kinds were looked for" in capsys.readouterr().out
    assert {node["node"] for node in told["nodes"]} >= {"Aggregate", "Seq Scan on orders orders_1"}
