"""Which databases of a target are read, as they come and go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pgvigil.postgres.databases import Database

LACKS_CONNECT = "the role lacks CONNECT on the database"


@dataclass(frozen=True, slots=True)
class Change:
    """`dropped` are those that are no longer there, or no longer wanted (a template by now)."""

    appeared: tuple[str, ...]
    dropped: tuple[str, ...]


class Following:
    """Follows the databases that `wants` says yes to; of templates, and of those that a managed service keeps for
    itself, only what `named` has, literally.
    """

    def __init__(self, wants: Callable[[str], bool], named: Sequence[str] = ()) -> None:
        self.want(wants, named)
        self.databases: Sequence[Database] | None = None  # as they were read last
        self.names: Mapping[int, str] = {}  # every database, by oid
        self.followed: tuple[str, ...] = ()
        self.not_covered: Mapping[str, str] = {}  # matching, but cannot be read: why

    def want(self, wants: Callable[[str], bool], named: Sequence[str] = ()) -> None:
        """Follow others from the next `update` on."""
        self._by_name = wants
        self._named = frozenset(named)

    def update(self, databases: Sequence[Database]) -> Change:
        """Take the present list. A database that became unreadable is not covered, not dropped."""
        wanted = [database for database in databases if self._wants(database)]
        followed = tuple(sorted(database.name for database in wanted if self._obstacle(database) is None))
        not_covered = {
            database.name: obstacle
            for database in wanted
            if (obstacle := self._obstacle(database)) is not None
        }
        before = set(self.followed) | set(self.not_covered)
        change = Change(
            appeared=tuple(name for name in followed if name not in self.followed),
            dropped=tuple(sorted(before - set(followed) - not_covered.keys())),
        )
        self.databases = databases
        self.names = {database.oid: database.name for database in databases}
        self.not_covered = not_covered
        self.followed = followed
        return change

    @property
    def closed(self) -> tuple[str, ...]:
        """Those that the role may not connect to for want of the privilege."""
        return tuple(name for name, reason in self.not_covered.items() if reason == LACKS_CONNECT)

    def _wants(self, database: Database) -> bool:
        hidden = database.template or database.of_service
        return self._by_name(database.name) and (not hidden or database.name in self._named)

    @staticmethod
    def _obstacle(database: Database) -> str | None:
        if database.invalid:
            return "it is what an interrupted DROP DATABASE left: nobody can use it; drop it again"
        if not database.connectable:
            return "the database does not allow connections"
        if not database.has_connect_privilege:
            return LACKS_CONNECT
        if database.limit_zero:
            return "its CONNECTION LIMIT is 0"
        return None
