"""Statement texts, normalised and redacted by who puts them: a cache, and nothing is lost when it shrinks."""

from collections.abc import Iterable, Mapping

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Integer,
    Select,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    true,
    tuple_,
)

from pgvigil.store.batches import delete_in_batches
from pgvigil.store.database import Database
from pgvigil.store.errors import StoreError
from pgvigil.store.schema import METADATA, TEXT

TextKey = tuple[int, int, int]  # dbid, userid, queryid

MAX_TEXT_CHARS = 20_000
MAX_TARGET_CHARS = 16_000_000  # about 30,000 texts of usual length for each target
SPARE_TARGET_CHARS = 500_000
_KEYS_PER_QUERY = 200  # SQLite takes 32,766 parameters; small queries keep the plan small

STATEMENT_TEXT = Table(
    "statement_text",
    METADATA,
    Column("seq", Integer, primary_key=True),
    Column("target", TEXT, nullable=False),
    Column("dbid", BigInteger, nullable=False),
    Column("userid", BigInteger, nullable=False),
    Column("queryid", BigInteger, nullable=False),
    Column("text", TEXT, nullable=False),
    UniqueConstraint("target", "dbid", "userid", "queryid", name="statement_text_key"),
    sqlite_autoincrement=True,
)
_KEY = tuple_(STATEMENT_TEXT.c.dbid, STATEMENT_TEXT.c.userid, STATEMENT_TEXT.c.queryid)


class Texts:
    """Texts by target and (dbid, userid, queryid). Where the file cannot be used, `spare` has a few."""

    def __init__(self, database: Database, spare: Database | None = None) -> None:
        self._database = database
        self._spare = spare

    def get(self, target: str, keys: Iterable[TextKey]) -> dict[TextKey, str]:
        """Those of `keys` that are known."""
        asked = list(keys)
        try:
            return self._database.read(lambda connection: _get(connection, target, asked))
        except StoreError:
            if self._spare is None:
                raise
            return self._spare.read(lambda connection: _get(connection, target, asked))

    def put(self, target: str, texts: Mapping[TextKey, str], *, keep_chars: int = MAX_TARGET_CHARS) -> None:
        """Remember `texts`, each cut to 20,000 characters; the oldest beyond `keep_chars` are forgotten."""
        try:
            self._database.write(lambda connection: _put(connection, target, texts, keep_chars))
        except StoreError:
            if self._spare is None:
                raise
            few = min(keep_chars, SPARE_TARGET_CHARS)
            self._spare.write(lambda connection: _put(connection, target, texts, few))

    def forget(self, targets: Iterable[str]) -> int:
        """Drop the texts of every target that is not among `targets`; returns how many."""
        others = STATEMENT_TEXT.c.target.not_in(list(targets))
        return delete_in_batches(self._database, STATEMENT_TEXT.c.seq, others)

    def shrink(self, keep_chars: int) -> int:
        """Drop the oldest texts beyond `keep_chars` of all targets together; returns how many."""
        beyond = self._database.read(lambda connection: connection.scalar(_beyond(keep_chars, true())))
        if beyond is None:
            return 0
        return delete_in_batches(self._database, STATEMENT_TEXT.c.seq, STATEMENT_TEXT.c.seq <= beyond)


def _batches(keys: list[TextKey]) -> Iterable[list[TextKey]]:
    return (keys[start : start + _KEYS_PER_QUERY] for start in range(0, len(keys), _KEYS_PER_QUERY))


def _get(connection: Connection, target: str, keys: list[TextKey]) -> dict[TextKey, str]:
    found: dict[TextKey, str] = {}
    table = STATEMENT_TEXT.c
    for batch in _batches(keys):
        query = select(table.dbid, table.userid, table.queryid, table.text).where(
            table.target == target, _KEY.in_(batch)
        )
        found |= {
            (dbid, userid, queryid): words for dbid, userid, queryid, words in connection.execute(query)
        }
    return found


def _put(connection: Connection, target: str, texts: Mapping[TextKey, str], keep_chars: int) -> None:
    for batch in _batches(list(texts)):
        connection.execute(delete(STATEMENT_TEXT).where(STATEMENT_TEXT.c.target == target, _KEY.in_(batch)))
        connection.execute(
            insert(STATEMENT_TEXT),
            [
                {
                    "target": target,
                    "dbid": key[0],
                    "userid": key[1],
                    "queryid": key[2],
                    "text": texts[key][:MAX_TEXT_CHARS],
                }
                for key in batch
            ],
        )
    _shrink(connection, target, keep_chars)


def _shrink(connection: Connection, target: str, keep_chars: int) -> None:
    of_target = STATEMENT_TEXT.c.target == target
    beyond = _beyond(keep_chars, of_target).scalar_subquery()
    connection.execute(delete(STATEMENT_TEXT).where(of_target, STATEMENT_TEXT.c.seq <= beyond))


def _beyond(keep_chars: int, where: ColumnElement[bool]) -> Select[tuple[int]]:
    """The newest text that is too much: with it and all newer ones there are more than `keep_chars`."""
    newest_first = func.sum(func.length(STATEMENT_TEXT.c.text)).over(order_by=STATEMENT_TEXT.c.seq.desc())
    sizes = select(STATEMENT_TEXT.c.seq, newest_first.label("running")).where(where).subquery()
    return select(func.max(sizes.c.seq)).where(sizes.c.running > keep_chars)
