"""What tracked statements did between two readings, as tests say it."""

from collections.abc import Mapping
from datetime import timedelta

import numpy as np

from pgvigil.postgres.frames import Frame
from pgvigil.statements import KEY, StatementKey
from queries.tracked import MEASURES, Intervals
from tests.support.views import T0

ONE, TWO, NEW = (StatementKey(5, 10, queryid, True) for queryid in (-7, 8, 9))
MINUTE = 60.0
REST = dict.fromkeys(MEASURES, 1.0)


def interval(
    ran: Mapping[StatementKey, float | None],
    at_s: float = 0,
    *,
    length_s: float = MINUTE,
    unknown: bool = False,
) -> Intervals:
    """`ran` has the calls of each tracked statement (of 10 ms each), None where it cannot be told."""
    calls = np.array([np.nan if each is None else each for each in ran.values()], np.float64)
    since = T0 + timedelta(seconds=at_s)
    keys = {
        name: np.array([key[place] for key in ran], np.bool_ if name == "toplevel" else np.int64)
        for place, name in enumerate(KEY)
    }
    return Intervals(
        target="shop",
        since=since,
        until=since + timedelta(seconds=length_s),
        elapsed_s=length_s,
        unknown="the statistics were reset" if unknown else None,
        statements=Frame(keys),
        values=Frame({name: calls * (10.0 if name == "exec_ms" else 1.0) for name in MEASURES}),
        remainder=None if unknown else dict(REST),
        untold=0,
    )
