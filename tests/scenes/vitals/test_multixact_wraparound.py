"""Multixact ids that are used up, and given back by vacuum."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from pgvigil.postgres.session import Session
from pgvigil.scratch.server import ScratchServer
from tests.support import ids, watching
from tests.support.vitals import Vitals


def test_a_large_share_is_told_until_vacuum_has_frozen(
    vitals: Callable[..., Vitals], own_server: ScratchServer
) -> None:
    """A level that a thousand of two billion ids reach. Autovacuum has not had to freeze yet: one level milder."""
    limits = {"warning": "0.00001 %", "critical": "0.00002 %", "clear": "0.000005 %"}
    seen = vitals({"multixact_wraparound": limits})
    with closing(watching.watch(own_server.dsn())) as session:
        seen.look(session)
        assert seen.open == {}
        ids.use_multixacts(own_server.dsn(), 1000)
        seen.look(session, after_s=60)
        told = seen.firing["multixact ids"]
        assert told.severity is Level.WARNING
        assert "of the multixact ids are used" in told.summary
        ids.freeze(own_server)
        seen.look(session, after_s=60)
        seen.look(session, after_s=700)
        assert seen.open == {}


def test_the_healthy_twin_is_silent(vitals: Callable[..., Vitals], reader: Session) -> None:
    seen = vitals({"multixact_wraparound": {}})
    seen.look(reader)
    assert seen.open == {}
