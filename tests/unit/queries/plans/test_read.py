"""What is no plan is refused with a sentence, whatever it is; what people paste is read."""

import json
from typing import Any

import pytest

from daemon.cli import codes, main
from queries.plans.plan import PlanError
from queries.plans.read import MAX_DEPTH, MAX_NODES, read

NODE = {"Node Type": "Seq Scan", "Relation Name": "orders", "Plan Rows": 1, "Total Cost": 2.5}
PLAN = [{"Plan": NODE}]


def nested(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = dict(NODE)
    for _ in range(depth):
        node = {"Node Type": "Result", "Plans": [node]}
    return node


def test_auto_explains_form_is_read() -> None:
    plan = read(json.dumps({"Query Text": "SELECT 1", "Plan": NODE}))
    assert (plan.root.label, plan.ran) == ("Seq Scan on orders", False)


def test_psqls_aligned_form_is_read() -> None:
    body = json.dumps(PLAN, indent=2).splitlines()
    width = max(map(len, body))
    lines = [
        " QUERY PLAN".ljust(width),
        "-" * width,
        *(f" {line:<{width}}+" for line in body[:-1]),
        f" {body[-1]}",
    ]
    assert read("\n".join([*lines, "(1 row)", "", "Time: 1.2 ms"])).root.relation == "orders"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("Seq Scan on orders  (cost=0.00..1.01 rows=1 width=4)", "no JSON"),
        ("[]", "a list of one plan"),
        ("[1]", 'no object "Plan"'),
        ("{}", 'no object "Plan"'),
        ('[{"Plan": []}]', 'no object "Plan"'),
        ('[{"Plan": {}}]', '"Node Type"'),
        ('[{"Plan": {"Node Type": 3}}]', '"Node Type"'),
        ('[{"Plan": {"Node Type": "Result", "Plans": {}}}]', "is not a list"),
        ('[{"Plan": {"Node Type": "Result", "Plans": [null]}}]', '"Node Type"'),
        ('[{"Plan": {"Node Type": "Result", "Actual Loops": "many"}}]', "not a number"),
        ('[{"Plan": {"Node Type": "Result", "Actual Rows": -1}}]', "not a number"),
        ('[{"Plan": {"Node Type": "Result", "Plan Rows": 1e999}}]', "not a finite number"),
        ('[{"Plan": {"Node Type": "Result", "Plan Rows": NaN}}]', "NaN"),
        (json.dumps(PLAN)[:-9], "cut off"),
        (json.dumps([{"Plan": nested(MAX_DEPTH + 1)}]), "deeper"),
        ("[" * 200_000, "nested too deeply"),
        (json.dumps([{"Plan": {"Node Type": "Append", "Plans": [NODE] * MAX_NODES}}]), "nodes"),
    ],
    ids=range(18),
)
def test_what_is_no_plan_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        read(text)


def test_the_deepest_and_the_widest_that_are_taken() -> None:
    assert len(list(read(json.dumps([{"Plan": nested(MAX_DEPTH)}])).nodes())) == MAX_DEPTH + 1
    wide = {"Node Type": "Append", "Plans": [NODE] * (MAX_NODES - 1)}
    assert len(list(read(json.dumps([{"Plan": wide}])).nodes())) == MAX_NODES


def test_names_of_a_plan_move_nothing_in_a_terminal() -> None:
    label = read(json.dumps([{"Plan": {**NODE, "Relation Name": "or\x1b[31mders\u202e\nx"}}])).root.label
    assert label == "Seq Scan on or[31mders x"


def test_the_command_refuses_what_is_no_plan(tmp_path, capsys) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(b"\xff\xfe no text")
    assert main(["plan", "explain", str(file)]) == codes.SETUP
    file.write_text("nothing", encoding="utf-8")
    assert main(["plan", "explain", str(file)]) == codes.SETUP
    assert "there is no JSON in it" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert main(["plan", "explain", str(tmp_path / "missing")]) == codes.SETUP
