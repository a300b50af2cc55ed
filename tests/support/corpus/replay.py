"""The traces of real servers that `record.py` made, as deltas: a second of them stands in for a minute."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgvigil.model.snapshot import Delta
from pgvigil.postgres.frames import Frame
from pgvigil.statements import COUNTERS, KEY, StatementChanges
from tests.support.corpus.series import START

TRACES = Path(__file__).parent / "traces"
SLOWED = 60  # a second stands in for a minute


@dataclass(frozen=True)
class Trace:
    """`names` of the statements of the load by query id; `faults` with the readings at which each began and ended."""

    version: str
    names: dict[int, str]
    faults: list[tuple[str, int, int | None]]
    until_s: NDArray[np.float64]
    ran: list[Frame]

    def deltas(self) -> Iterator[Delta[StatementChanges]]:
        everyone = Frame({name: np.concatenate([each[name] for each in self.ran]) for name in KEY})
        _, once = np.unique(everyone["queryid"], return_index=True)
        present = Frame({name: everyone[name][once] for name in KEY})
        nobody = Frame({name: everyone[name][:0] for name in KEY})
        before_s = self.until_s[0] - 1.0
        for until_s, ran in zip(self.until_s.tolist(), self.ran, strict=True):
            yield Delta(
                target="orders-prod",
                collector="statements",
                since=START + timedelta(seconds=before_s * SLOWED),
                until=START + timedelta(seconds=until_s * SLOWED),
                elapsed_s=(until_s - before_s) * SLOWED,
                unknown=None,
                rows=StatementChanges(ran=ran, uncovered=nobody, present=present, hidden=0),
            )
            before_s = until_s


def load(major: int) -> Trace:
    with np.load(TRACES / f"postgresql-{major}.npz", allow_pickle=False) as file:
        told: dict[str, Any] = json.loads(str(file["told"]))
        ends = np.cumsum(file["ran"])[:-1]
        columns = {name: np.split(file[name], ends) for name in (*KEY, *COUNTERS)}
        ran = [Frame({name: columns[name][at] for name in columns}) for at in range(len(file["ran"]))]
        return Trace(
            version=told["version"],
            names={queryid: name for name, queryid in told["names"].items()},
            faults=[(name, begins, ends) for name, begins, ends in told["faults"]],
            until_s=file["until_s"],
            ran=ran,
        )
