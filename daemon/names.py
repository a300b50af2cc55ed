"""Relation names, asked for only when a rule wanted one, by the lane that can read that database."""

from collections import OrderedDict
from collections.abc import Mapping

MOST = 10_000  # names kept per target; a name is some 100 bytes


class Names:
    """A cache of one target. Looking up an unknown name notes it as wanted; the lane fetches it soon after.

    A rename is seen when `known` is looked up again, which the lane does whenever it visits the databases anyway.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], str] = OrderedDict()
        self._wanted: dict[int, set[int]] = {}

    def __call__(self, database_oid: int, relation_oid: int) -> str | None:
        name = self._known.get((database_oid, relation_oid))
        if name is None:
            self._wanted.setdefault(database_oid, set()).add(relation_oid)
        return name

    def take_wanted(self) -> dict[int, set[int]]:
        """What to fetch, relation oids by database oid; the caller sees to it, so it is not asked twice."""
        wanted, self._wanted = self._wanted, {}
        return wanted

    def learn(self, database_oid: int, names: Mapping[int, str]) -> None:
        for oid, name in names.items():
            self._known[database_oid, oid] = name
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def known(self) -> dict[int, set[int]]:
        """What has been looked up, relation oids by database oid."""
        found: dict[int, set[int]] = {}
        for database_oid, relation_oid in tuple(self._known):
            found.setdefault(database_oid, set()).add(relation_oid)
        return found
