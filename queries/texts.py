"""Texts of statements: asked for by id, read rarely and in one batch, kept without their data."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from pgvigil.model.moment import Moment
from pgvigil.plugins import Reader
from pgvigil.postgres.query import Column, Query, start_of
from pgvigil.sql.lexer import LEXED_CHARS
from pgvigil.sql.redact import redact
from pgvigil.sql.statement import MARKER, is_own

TextKey = tuple[int, int, int]  # dbid, userid, queryid

OWN = f"{MARKER}own */"  # stands for the text of a statement of pgvigil itself: `is_own` knows it

REST_S = 50.0  # between two reads at most
FAILED_REST_S = 900.0  # a read that failed was slow or refused: the text file may be hundreds of MB
MISSING_S = 600.0  # how long a text that the server no longer has is not asked for again
MOST_KNOWN = 2_000  # texts in memory for each target, 16 MB at the very most
MOST_WANTED = 1_000  # ids in one batch


class TextStore(Protocol):
    """Where texts outlive the process."""

    def get(self, target: str, keys: Collection[TextKey]) -> dict[TextKey, str]: ...

    def put(self, target: str, texts: Mapping[TextKey, str]) -> None: ...


class StatementText(NamedTuple):
    dbid: int
    userid: int
    queryid: int
    text: str


TEXTS = Query(
    name="statement_texts",
    row=StatementText,
    columns=(
        Column("dbid", "dbid", "Database, by oid."),
        Column("userid", "userid", "Role, by oid."),
        Column("queryid", "queryid", "The server's hash of the statement."),
        # More than redact reads, however wide the characters are: then it sees that the text goes on.
        Column("text", start_of("query", 4 * LEXED_CHARS + 4), "Its text, as the server normalised it."),
    ),
    source="FROM {schema}.pg_stat_statements(true) WHERE queryid = ANY (%(queryids)s) AND query IS NOT NULL",
    extension="pg_stat_statements",
)


class TextCount(NamedTuple):
    entries: int
    texts: int


COUNT = Query(
    name="statement_texts_count",
    row=TextCount,
    columns=(
        Column("entries", "count(*)", "Entries that the role may see.", "count"),
        Column("texts", "count(query)", "Those of them that have a text.", "count"),
    ),
    source="FROM {schema}.pg_stat_statements(true) WHERE queryid IS NOT NULL",
    extension="pg_stat_statements",
)


def fetch(reader: Reader, keys: Collection[TextKey]) -> dict[TextKey, str]:
    """The texts of `keys` that the server has, without literals; OWN for our own. Raises ReadError.

    It costs the server a read of its whole text file, however few are asked for.
    """
    rows = reader.rows(TEXTS, {"queryids": sorted({queryid for _, _, queryid in keys})})
    return {
        (row.dbid, row.userid, row.queryid): OWN if is_own(row.text) else redact(row.text)
        for row in rows
        if (row.dbid, row.userid, row.queryid) in keys
    }


class Texts:
    """The texts of one target; it is the `TextLookup` of rules. Safe for use by several threads.

    An id that is not known is noted; `refresh` reads what was noted. `interval_s` is the collector's: between two
    reads it rests for just under that, so that each poll may read once, and for REST_S where polls are rarer.
    """

    def __init__(self, target: str, store: TextStore, *, interval_s: float = 60.0) -> None:
        self._target = target
        self._store = store
        self._lock = threading.Lock()
        self._known: OrderedDict[TextKey, str] = OrderedDict()
        self._wanted: dict[TextKey, None] = {}
        self._missing_until_s: dict[TextKey, float] = {}
        self.paced(interval_s)
        self._rests_until_s = 0.0

    def paced(self, interval_s: float) -> None:
        """The collector reads every `interval_s` from now on."""
        self._rest_s = min(REST_S, 0.85 * interval_s)

    def __call__(self, database_oid: int, user_oid: int, queryid: int) -> str | None:
        key = (database_oid, user_oid, queryid)
        with self._lock:
            text = self._known.get(key)
            if text is not None:
                self._known.move_to_end(key)
            elif key not in self._missing_until_s and len(self._wanted) < MOST_WANTED:
                self._wanted[key] = None
            return text

    def refresh(self, reader: Reader, moment: Moment) -> bool:
        """Look for what was asked for: in the store, and if it is time on the server; True when it asked there.

        Raises ReadError; then it rests longer, and what was asked for stays asked for.
        """
        wanted = self._due(moment)
        if not wanted:
            return False
        stored = self._store.get(self._target, wanted)
        self._learn(stored)
        rest = wanted - stored.keys()
        if not rest or moment.mono_s < self._rests_until_s:
            return False
        self._rests_until_s = moment.mono_s + FAILED_REST_S
        read = fetch(reader, rest)
        self._rests_until_s = moment.mono_s + self._rest_s
        self._learn(read)
        self._miss(rest - read.keys(), moment)
        self._store.put(self._target, read)
        return True

    def _due(self, moment: Moment) -> frozenset[TextKey]:
        with self._lock:
            over = [key for key, until_s in self._missing_until_s.items() if until_s <= moment.mono_s]
            for key in over:
                del self._missing_until_s[key]
            return frozenset(self._wanted)

    def _learn(self, texts: Mapping[TextKey, str]) -> None:
        with self._lock:
            for key, text in texts.items():
                self._known[key] = text
                self._wanted.pop(key, None)
            while len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)

    def _miss(self, keys: Collection[TextKey], moment: Moment) -> None:
        with self._lock:
            for key in keys:
                self._wanted.pop(key, None)
                self._missing_until_s[key] = moment.mono_s + MISSING_S
