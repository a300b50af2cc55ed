"""The limits of a real PgBouncer: its pools, and its clients."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from alerts.rules.pgbouncer_pool_saturated import RULE, PgbouncerPoolSaturatedParams
from pgvigil.model.availability import Availability
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.kind import TargetKind
from pgvigil.model.level import Level
from pgvigil.plugins import Context
from tests.support import poolers
from tests.support.pooled import pooled_scene
from tests.support.readings import snapshot
from tests.support.servers import Database
from tests.support.vitals import Vitals

WATCHED = ("pgbouncer_pool_saturated", "pgbouncer_waiting")


def test_a_full_pool_with_a_queue_is_a_warning_until_it_has_room(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    with pooled_scene(vitals, start_pooler, database.dsn(), {RULE.name: {}}) as scene:
        with scene.waiting():
            scene.look()
            assert scene.vitals.firing == {}, "a moment of it is no news"
            scene.look(after_s=121)
            (incident,) = scene.vitals.firing.values()
            assert incident.severity is Level.WARNING
            assert incident.summary.startswith("Pool shop/")
            assert incident.summary.endswith("has 1 of 1 server connections taken, and 1 waiting")
        scene.look(after_s=5)
        scene.look(after_s=121)
        assert scene.vitals.open == {}


def test_of_a_queue_that_is_told_already_it_is_a_part(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    """One fault, one page: who waits long is told, and that the pool is full is a note of it."""
    quick = {
        "pgbouncer_waiting": {"warning": "100ms", "clear": "50ms", "critical": "10m"},
        RULE.name: {"for": "0s"},
    }
    with pooled_scene(vitals, start_pooler, database.dsn(), quick) as scene, scene.waiting(longest_s=0.2):
        scene.look()
        assert [each.rule for each in scene.vitals.firing.values()] == ["pgbouncer_waiting"]
        scene.look()
        (incident,) = scene.vitals.firing.values()
        assert any("server connections taken" in note for note in incident.evidence.notes)


def test_clients_near_their_limit_are_told_before_the_next_is_refused(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    with pooled_scene(vitals, start_pooler, database.dsn(), {RULE.name: {}}, max_client_conn=10) as scene:
        with ExitStack() as clients:
            for _ in range(7):
                clients.enter_context(scene.pooler.client())
            scene.look()
            scene.look(after_s=121)
            (incident,) = scene.vitals.firing.values()
            assert (incident.subject, incident.severity) == ("client connections", Level.WARNING)
            assert incident.summary == "8 of 10 client connections are taken (80 %)"
        scene.look(after_s=5)
        scene.look(after_s=121)
        assert scene.vitals.open == {}


def test_a_client_that_is_logging_in_is_one_client(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    """PgBouncer counts those among the used ones: a crowd that logs in slowly is not twice as large."""
    with (
        pooled_scene(vitals, start_pooler, database.dsn(), {RULE.name: {}}, max_client_conn=10) as scene,
        ExitStack() as clients,
    ):
        for _ in range(6):
            clients.enter_context(scene.pooler.knocking())
        lists = {row["list"]: row["items"] for row in scene.pooler.admin("SHOW LISTS")}
        assert lists["login_clients"] == "6"
        scene.look()
        scene.look(after_s=121)
        assert scene.vitals.open == {}


@pytest.mark.parametrize(
    ("kind", "levels"), [(FailureKind.TOO_MANY_CONNECTIONS, [Level.CRITICAL]), (FailureKind.REFUSED, [])]
)
def test_to_be_refused_for_want_of_a_connection_is_saturation(kind: FailureKind, levels: list[Level]) -> None:
    availability = Availability(
        up=False, failure=Failure(kind, "no more connections allowed (max_client_conn)")
    )
    context = Context(target="pool", now=datetime.now(UTC), kind=TargetKind.PGBOUNCER)
    judgement = RULE.evaluate(snapshot(availability, "availability"), PgbouncerPoolSaturatedParams(), context)
    assert [finding.level for finding in judgement.findings] == levels
    assert bool(judgement.scope.reason) or kind is not FailureKind.REFUSED


def test_a_pooler_with_room_is_silent(
    vitals: Callable[..., Vitals], start_pooler: poolers.StartPooler, database: Database
) -> None:
    rules: dict[str, dict[str, object]] = {name: {} for name in WATCHED}
    with (
        pooled_scene(vitals, start_pooler, database.dsn(), rules, default_pool_size=5) as scene,
        scene.pooler.client() as client,
    ):
        client.execute("BEGIN")
        scene.look()
        scene.look(after_s=300)
        assert scene.vitals.open == {}
