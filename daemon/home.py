"""Which database the server lane sits in."""

from collections.abc import Callable, Collection

import structlog

from pgvigil.model.facts import Facts
from pgvigil.model.failure import FailureKind
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session

log = structlog.get_logger(__name__)

# That database admits us no more; the one that the DSN names may.
_SHUT = frozenset({FailureKind.NO_DATABASE, FailureKind.PRIVILEGE, FailureKind.AUTHENTICATION})


class Home:
    """The DSN's database, or the one that has an extension which that lacks (`needed`).

    `lost` is called when the latter has gone, so that another one is looked for.
    """

    def __init__(
        self,
        target: str,
        connect: Callable[[str | None], Session],
        needed: Collection[str],
        lost: Callable[[], None],
    ) -> None:
        self._target = target
        self._connect = connect
        self.needs(needed)
        self._lost = lost
        self._name: str | None = None

    def needs(self, extensions: Collection[str]) -> None:
        """What it is looked for by from now on; it stays where it is while that will do."""
        self._needed = frozenset(extensions)

    def connect(self) -> Session:
        """Raises ReadError."""
        if self._name is not None:
            try:
                return self._connect(self._name)
            except ReadError as error:
                if error.failure.kind not in _SHUT:
                    raise
                log.info("home_database_lost", target=self._target, database=self._name)
                self._name = None
                self._lost()
        return self._connect(None)

    def better(self, here: Facts, there: Facts) -> bool:
        """Whether `there` has what `here` lacks; from the next connect on that is where the lane sits."""
        if (
            there.database == self._name
            or not (self._needed - here.extensions.keys()) & there.extensions.keys()
        ):
            return False
        log.info("home_database", target=self._target, database=there.database)
        self._name = there.database
        return True


def same_server(one: Facts, other: Facts) -> bool:
    """Whether both are the same run of the same server. Standbys share the identifier of their primary, and a role
    may not see it in every database.
    """
    known = None not in (one.system_identifier, other.system_identifier)
    other_cluster = known and one.system_identifier != other.system_identifier
    return one.started_at == other.started_at and not other_cluster
