"""Members of multixacts, on a cluster whose multixacts were never frozen, and on one where they were."""

from collections.abc import Callable
from contextlib import closing

import psycopg

from pgvigil.model.level import Level
from pgvigil.scratch.server import ScratchServer
from tests.support import ids, watching
from tests.support.vitals import Vitals

LIMITS = {"warning": "0.00004 %", "critical": "0.0008 %", "clear": "0.00001 %", "min_used": "100 %"}


def test_members_are_counted_exactly_and_given_back(
    vitals: Callable[..., Vitals], own_server: ScratchServer
) -> None:
    """2,000 members are 0.00005 % of the room; after a freeze only those since are counted."""
    seen = vitals({"multixact_members": LIMITS})
    with (
        closing(watching.watch(own_server.dsn())) as session,
        psycopg.connect(own_server.dsn(), autocommit=True) as admin,
    ):
        seen.look(session)
        assert seen.open == {}
        ids.use_multixacts(own_server.dsn(), 1000)
        admin.execute("CHECKPOINT")
        seen.look(session, after_s=60)
        told = seen.firing["multixact members"]
        assert told.severity is Level.WARNING
        assert not told.summary.startswith("At least")
        assert ("Members", "2,00") in {(figure.name, figure.value[:4]) for figure in told.evidence.figures}
        ids.freeze(own_server)
        seen.look(session, after_s=60)
        seen.look(session, after_s=700)
        assert seen.open == {}
