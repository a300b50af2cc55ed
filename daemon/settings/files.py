"""Reads the configuration file and what it includes, and remembers where each value was written."""

import glob
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemon.settings.errors import Origin, Report
from daemon.settings.locate import KeyPath, locate

_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
# What the reader's commonest complaints come from.
_MISTAKES = {
    "Invalid value (at end": "the file ends in the middle of a value",
    "Invalid value": 'text stands in quotes: key = "text"',
    "Illegal character '\\n'": "a quote is not closed on this line",
    "Unterminated string": "a quote is not closed on this line",
    "Unclosed array": "a list ends with ]",
    "Cannot overwrite a value": "the key stands here twice",
    "Expected ']]'": "a list of tables begins with [[name]]",
}
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "UTF-8"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


def read(main: Path, report: Report) -> dict[str, Any]:
    """The merged document of `main` and its includes; errors go to `report`.

    Lists of tables are concatenated in the order of the files, tables are merged, and a key that two files
    set is an error. Paths to files are made absolute, from the directory of the file that names them.
    """
    report.origins[()] = Origin(str(main), 0)
    document: dict[str, Any] = {}
    data = _load(main, document, report)
    for path in _included(main, data.get("include", []), report):
        _load(path, document, report)
    return document


def _load(path: Path, document: dict[str, Any], report: Report) -> dict[str, Any]:
    text = _text(path, report)
    if text is None:
        return {}
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line, column = (int(place[1]), f" (column {place[2]})") if place else (text.count("\n") + 1, "")
        said = _PLACE.sub("", str(error))
        hint = next((hint for start, hint in _MISTAKES.items() if said.startswith(start)), "")
        report.add_at(Origin(str(path), line), f"not valid TOML{column}: {said}", hint=hint)
        return {}
    _Merge(path, locate(text), report).tables(document, data)
    return data


def _text(path: Path, report: Report) -> str | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        report.add_at(
            Origin(str(path), 0), "no such file", hint="`pgvigil config example` prints one to start from"
        )
        return None
    except OSError as error:
        report.add_at(Origin(str(path), 0), f"cannot be read: {error.strerror}")
        return None
    for mark, encoding in _BYTE_ORDER_MARKS:
        if raw.startswith(mark):
            report.add_at(
                Origin(str(path), 0),
                f"starts with a {encoding} byte order mark",
                hint="save it as UTF-8 without one",
            )
            return None
    try:
        return raw.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        report.add_at(
            Origin(str(path), line), f"not UTF-8: byte 0x{raw[error.start]:02x}", hint="save it as UTF-8"
        )
        return None


def _included(main: Path, patterns: Any, report: Report) -> Iterator[Path]:
    if not isinstance(patterns, list) or not all(isinstance(item, str) for item in patterns):
        report.add(("include",), "must be a list of file patterns", hint='such as ["targets.d/*.toml"]')
        return
    seen = {main.resolve()}
    for index, pattern in enumerate(patterns):
        found = sorted(glob.glob(pattern, root_dir=main.parent))  # noqa: PTH207 - Path.glob refuses absolute ones
        if not found and not glob.has_magic(pattern):
            report.add(("include", index), "names no file", value=pattern)
        for name in found:
            path = main.parent / name
            if path.is_dir():
                report.add(
                    ("include", index), f"{name} is a directory", value=pattern, hint=f'write "{name}/*.toml"'
                )
            elif path.resolve() not in seen:
                seen.add(path.resolve())
                yield path


class _Merge:
    """Merges one file's document into the whole."""

    def __init__(self, file: Path, lines: dict[KeyPath, int], report: Report) -> None:
        self._file = file
        self._lines = lines
        self._report = report

    def tables(self, into: dict[str, Any], data: dict[str, Any]) -> None:
        if "include" in into and "include" in data:
            self._clash(("include",), "only the main file may include others")
            data = {key: value for key, value in data.items() if key != "include"}
        self._tables(into, data, (), ())

    def _origin(self, path: KeyPath) -> Origin:
        return Origin(str(self._file), self._lines[path])

    def _tables(self, into: dict[str, Any], data: dict[str, Any], to: KeyPath, at: KeyPath) -> None:
        for key, value in data.items():
            there = into.get(key)
            if there is None:
                into[key] = self._copy(value, (*to, key), (*at, key))
            elif isinstance(there, dict) and isinstance(value, dict):
                self._tables(there, value, (*to, key), (*at, key))
            elif _list_of_tables(there) and _list_of_tables(value):
                for index, table in enumerate(value):
                    there.append(self._copy(table, (*to, key, len(there)), (*at, key, index)))
            else:
                first = self._report.origin((*to, key))
                self._clash((*at, key), f"already set in {first}")

    def _copy(self, value: Any, to: KeyPath, at: KeyPath) -> Any:
        """`value` as it stands in the merged document, its places recorded and its paths made absolute."""
        self._report.origins[to] = self._origin(at)
        if isinstance(value, dict):
            return {key: self._copy(inner, (*to, key), (*at, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._copy(inner, (*to, index), (*at, index)) for index, inner in enumerate(value)]
        if isinstance(value, str) and value and isinstance(at[-1], str) and at[-1].endswith("_file"):
            return str(self._file.parent.absolute() / value)
        return value

    def _clash(self, at: KeyPath, problem: str) -> None:
        text = ".".join(str(part) for part in at)
        self._report.add_at(self._origin(at), f"{text}: {problem}")


def _list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)
