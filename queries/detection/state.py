"""All that a detector remembers: columns with a row for each statement. Nothing else has a memory."""

import io
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pgvigil.postgres.frames import Frame
from pgvigil.statements import KEY
from queries.matching import Index

VERSION = 1  # of what the columns mean: state of another version is not used

Array = NDArray[Any]
Columns = dict[str, Array]
Fields = dict[str, tuple[str, tuple[int, ...], float]]  # name -> type, what a row holds, value of a fresh one


class State:
    """Columns by name; `clock` holds numbers of the whole."""

    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self.keys = Frame({name: np.zeros(0, np.bool_ if name == "toplevel" else np.int64) for name in KEY})
        self.columns = self._fresh(0)
        self.clock: dict[str, int] = {}

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.keys)

    def holds(self, wanted: Frame) -> bool:
        """Whether the rows are those of these statements, in this order."""
        return all(np.array_equal(wanted[name], self.keys[name]) for name in KEY)

    def match(self, wanted: Frame) -> None:
        """Make the rows those of these statements: what is known moves along, the others begin fresh."""
        before, after = (Index(tuple(keys[name] for name in KEY)) for keys in (self.keys, wanted))
        at = after.among(before)
        columns = self._fresh(len(wanted))
        for name, column in columns.items():
            column[at >= 0] = self.columns[name][at[at >= 0]]
        self.keys, self.columns = wanted, columns

    def forget(self, row: int) -> None:
        for name, fresh in self._fresh(1).items():
            self.columns[name][row] = fresh[0]

    def save(self) -> bytes:
        """Plain arrays, as numpy writes them, compressed."""
        clock = {f"clock.{name}": np.array(value) for name, value in self.clock.items()}
        keys = {f"key.{name}": column for name, column in self.keys.columns.items()}
        with io.BytesIO() as file:
            np.savez_compressed(file, version=np.array(VERSION), **clock, **keys, **self.columns)  # type: ignore[arg-type]
            return file.getvalue()

    def load(self, saved: bytes) -> bool:
        """False, and nothing changed, when it cannot be read or is of another version."""
        try:
            with np.load(io.BytesIO(saved), allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
            return False
        if not self._fits(found):
            return False
        self.keys = Frame({name: found[f"key.{name}"] for name in KEY})
        self.columns = {name: found[name] for name in self._fields}
        self.clock = {
            name.removeprefix("clock."): int(value)
            for name, value in found.items()
            if name.startswith("clock.")
        }
        return True

    def _fits(self, found: Columns) -> bool:
        if int(found.get("version", -1)) != VERSION or not all(f"key.{name}" in found for name in KEY):
            return False
        rows = len(found["key.queryid"])
        return all(
            name in found and found[name].shape == fresh.shape and found[name].dtype == fresh.dtype
            for name, fresh in self._fresh(rows).items()
        )

    def _fresh(self, rows: int) -> Columns:
        return {
            name: np.full((rows, *shape), value, dtype)
            for name, (dtype, shape, value) in self._fields.items()
        }
