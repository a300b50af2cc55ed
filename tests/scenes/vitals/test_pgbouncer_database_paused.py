"""A database of a real PgBouncer that somebody paused or disabled, and forgot."""

from collections.abc import Callable

import pytest

from tests.support import poolers
from tests.support.pooled import pooled_scene
from tests.support.servers import Database
from tests.support.vitals import Vitals


@pytest.mark.parametrize(
    ("stop", "go_on", "word"), [("PAUSE", "RESUME", "paused"), ("DISABLE", "ENABLE", "disabled")]
)
def test_it_is_told_after_a_while_until_it_goes_on(
    stop: str,
    go_on: str,
    word: str,
    vitals: Callable[..., Vitals],
    start_pooler: poolers.StartPooler,
    database: Database,
) -> None:
    with pooled_scene(vitals, start_pooler, database.dsn(), {"pgbouncer_database_paused": {}}) as scene:
        scene.look()
        assert scene.vitals.open == {}
        scene.pooler.admin(f"{stop} shop")
        scene.look()
        scene.look(after_s=240)
        assert scene.vitals.firing == {}, "maintenance takes a while"
        scene.look(after_s=61)
        (incident,) = scene.vitals.firing.values()
        assert (incident.subject, incident.severity.word) == ("database shop", "warning")
        assert incident.summary == f"Database shop is {word} in PgBouncer; 0 clients wait"
        assert incident.steps[-1].sql == f"{go_on} shop;"
        scene.pooler.admin(f"{go_on} shop")
        scene.look(after_s=5)
        assert scene.vitals.open == {}
