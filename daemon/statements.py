"""Statement statistics of one target: from readings to deltas, texts and series."""

from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

import structlog

from daemon.board import StatementSeries, TopStatement, TopStatements
from pgvigil.model.failure import Failure
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.postgres.errors import ReadError
from pgvigil.postgres.session import Session
from pgvigil.sql.statement import is_own
from pgvigil.statements import StatementChanges, StatementsReading
from pgvigil.store import StoreError
from queries.delta import StatementDeltas
from queries.recent import Recent, Spent
from queries.texts import TextKey, Texts, TextStore
from queries.topk import StickyTop
from queries.tracked import Intervals, Tracked

log = structlog.get_logger(__name__)

FEED = "statements"  # the collector whose readings say nothing alone: rules judge what changed between two
NOBODY: Mapping[int, str] = MappingProxyType({})
TEXTS_TIMEOUT_S = 10.0  # the text file of a large server may be hundreds of megabytes

Ran = Callable[[Intervals, Texts, Mapping[int, str]], None]


def _forgets(_intervals: Intervals, _texts: Texts, _databases: Mapping[int, str]) -> None:
    """No history is kept."""


class Statements:
    """For the server lane's worker only; `text` may be called from anywhere."""

    def __init__(
        self, target: str, store: TextStore, *, top_k: int, interval_s: float, ran: Ran = _forgets
    ) -> None:
        self.text = Texts(target, store, interval_s=interval_s)
        self.texts_failure: Failure | None = None  # of the last reading of texts
        self._target = target
        self._deltas = StatementDeltas()
        self._tracked = Tracked()
        self._ran = ran
        self._top_k = top_k
        self._rank(top_k)

    def configure(self, *, top_k: int, interval_s: float) -> None:
        """From the next reading on; the ground that deltas stand on stays. Any thread."""
        self.text.paced(interval_s)
        self._top_k = top_k

    def take(
        self, snapshot: Snapshot[StatementsReading], database_names: Mapping[int, str] = NOBODY
    ) -> Delta[StatementChanges]:
        """What ran since the reading before; the series have it in them, and the texts of the top are asked for."""
        if self._top_k != self._ranked:
            self._rank(self._top_k)
        delta = self._deltas.take(snapshot)
        self._ran(self._tracked.take(delta), self.text, database_names)
        if self._top is not None:
            self._top.take(delta)
            self._recent.take(delta)
            for (dbid, queryid), userid in self._top.users.items():
                self.text(dbid, userid, queryid)
            window = self._recent.window
            for each in window.spent if window else ():
                self.text(each.dbid, each.userid, each.queryid)
        return delta

    def _rank(self, top_k: int) -> None:
        """Begin to rank: the series start at zero."""
        self._ranked = top_k
        self._top = StickyTop(size=top_k) if top_k else None
        self._recent = Recent(size=top_k)

    def series(self, database_names: Mapping[int, str]) -> tuple[StatementSeries, ...]:
        """The sticky top and `other`; none where per-query series are switched off."""
        if self._top is None:
            return ()
        return tuple(
            StatementSeries(
                database="" if one.dbid is None else database_names.get(one.dbid, str(one.dbid)),
                queryid=one.queryid,
                calls=one.calls,
                exec_s=one.exec_s,
                rows=one.rows,
                shared_blocks=one.shared_blocks,
            )
            for one in self._top.series
        )

    def top(self, database_names: Mapping[int, str]) -> TopStatements | None:
        """What was heaviest in the last minutes."""
        window = self._recent.window
        if self._top is None or window is None:
            return None
        return TopStatements(
            since=window.since,
            until=window.until,
            elapsed_s=window.elapsed_s,
            exec_s=window.exec_s,
            statements=tuple(self._told(each, database_names) for each in window.spent),
        )

    def _told(self, spent: Spent, database_names: Mapping[int, str]) -> TopStatement:
        text = self.text(spent.dbid, spent.userid, spent.queryid)
        return TopStatement(
            database=database_names.get(spent.dbid, str(spent.dbid)),
            queryid=spent.queryid,
            text=text,
            own=text is not None and is_own(text),
            calls=spent.calls,
            exec_s=spent.exec_s,
            rows=spent.rows,
            share=spent.share,
        )

    def fetch_texts(self, session: Session, moment: Moment) -> None:
        """Read the texts that rules asked for, if it is time. A failure costs the text and nothing else."""
        try:
            with session.within(TEXTS_TIMEOUT_S):
                if self.text.refresh(session, moment):
                    self.texts_failure = None
        except (ReadError, StoreError) as error:
            if isinstance(error, ReadError):
                self.texts_failure = error.failure
            log.warning("texts_not_read", target=self._target, error=str(error))


class Unstored:
    """Texts are for one look only."""

    def get(self, _target: str, _keys: Collection[TextKey]) -> dict[TextKey, str]:
        return {}

    def put(self, _target: str, _texts: Mapping[TextKey, str]) -> None:
        return None


def reading_of(
    snapshot: Snapshot[Any], statements: Statements, database_names: Mapping[int, str] = NOBODY
) -> Snapshot[Any] | Delta[Any]:
    """What the rules on this feed judge: for statements the change, for all others the reading itself."""
    return statements.take(snapshot, database_names) if snapshot.collector == FEED else snapshot
