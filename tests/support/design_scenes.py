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

    Without `right` the first command of the finding that does more than look mends it. The incident as it fired.
    """
    with closing(watching.watch(database.dsn())) as session:
        watched.look(session)
        assert watched.open == {}
        database.execute(wrong)
        watched.look(session, after_s=HOUR_S)
        assert watched.firing == {}
        watched.look(session, after_s=hours * HOUR_S)
        incident = watched.firing[subject]
        commands = [step.sql for step in incident.steps if step.sql and not step.sql.startswith("SELECT")]
        database.execute(commands[0] if right is None else right)
        watched.look(session, after_s=HOUR_S)
        assert watched.open == {}
    return incident


Make = Callable[..., Vitals]
