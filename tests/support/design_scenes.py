"""What the scenes of the design checks share: a design that goes wrong and is mended, by the hour."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.incident import Incident
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals

HOUR_S = 3600.0


def fires_and_resolves(
    watched: Vitals,
    database: Database,
    *,
    subject: str,
    wrong: str,
    right: str | None = None,
    hours: float = 1.0,
) -> Incident:
    """A sound design is silent; after `wrong` it fires when seen twice, and after `right` it resolves.

    Without `right` the command of the finding's first step mends it. The incident as it fired.
    """
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        assert watched.open == {}
        database.execute(wrong)
        watched.look(session, after_s=HOUR_S)
        assert watched.firing == {}
        watched.look(session, after_s=hours * HOUR_S)
        incident = watched.firing[subject]
        database.execute(incident.steps[0].sql or "" if right is None else right)
        watched.look(session, after_s=HOUR_S)
        assert watched.open == {}
    return incident


Make = Callable[..., Vitals]
