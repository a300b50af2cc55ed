"""A rule with a defect: it is parked and said, and the others go on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from alerts.rules import idle_in_transaction as broken
from tests.support.daemons import daemon_in_process
from tests.support.locks import idle_in_transaction
from tests.support.planting import planted
from tests.support.polling import poll
from tests.support.servers import Database

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[collectors.activity]
interval = "1s"

[rules.idle_in_transaction]
warning = "1s"

[rules.long_transaction]
warning = "3s"
"""


def test_a_rule_that_throws_leaves_what_it_said_unknown_and_the_others_at_work(
    database: Database, tmp_path: Path
) -> None:
    """Said once, with its traceback: the next readings are not judged by it again."""
    defect = False

    def evaluate(*arguments: Any) -> Any:
        if defect:
            raise ZeroDivisionError
        return judge(*arguments)

    judge = broken.RULE.evaluate
    with (
        planted(broken, replace(broken.RULE, evaluate=evaluate, absorbs=frozenset())),
        daemon_in_process(tmp_path, CONFIG.format(dsn=database.dsn())) as daemon,
        idle_in_transaction(database.dsn(), "SELECT 1"),
    ):
        daemon.wait_incident("idle_in_transaction", "firing")
        assert daemon.metric('pgvigil_rule_errors_total{rule="idle_in_transaction"}') == 0
        defect = True
        unknown = daemon.wait_incident("idle_in_transaction", "unknown")
        assert "the rule failed" in unknown["reason"]
        assert daemon.wait_incident("long_transaction", "firing")
        reads = len(daemon.events("read"))
        poll(lambda: len(daemon.events("read")) > reads + 10, 20, message="readings go on")
        (failed,) = daemon.events("rule_failed")
        assert failed["rule"] == "idle_in_transaction"
        assert daemon.metric('pgvigil_rule_errors_total{rule="idle_in_transaction"}') == 1
        assert daemon.get("/healthz")[0] == 200
