"""Logging: one pipeline for our own events and for the libraries' messages, one line each on standard error.

An event's name is a fixed word (`incident_fired`); what varies stands beside it as keys. No lane waits for whoever
reads standard error: lines go through a bounded queue to a thread of their own. When the reader stalls and the queue
is full, the newest lines are dropped and counted, and `log_lines_dropped` says so as soon as a line gets through.
"""

import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, MutableMapping
from queue import SimpleQueue
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor

from pgvigil.redact import MASK, is_secret_name, redact
from pgvigil.text import is_printable

OURS = ("alerts", "collectors", "daemon", "pgvigil", "queries", "schemas")
QUEUE_LINES = 10_000
CLOSE_S = 2.0

Form = Literal["auto", "json", "console"]


def configure(form: Form, level: str, fd: int = 2) -> Callable[[], None]:
    """Sets up logging to the file descriptor `fd`; returns what writes the rest of the queue and ends it.

    Our own events are shown from `level` on, those of libraries from warning on, whatever `level` says:
    slack_sdk, for one, logs whole requests with their tokens at DEBUG.
    """
    as_json = form == "json" or (form == "auto" and not os.isatty(fd))
    lines = Lines(fd)
    handler = _Handler(
        lines,
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                clean,
                _json if as_json else _console,
            ],
            foreign_pre_chain=_SHARED,
        ),
    )
    logging.getLogger().handlers[:] = [handler]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    set_level(level)
    logging.captureWarnings(capture=True)
    threading.excepthook = _thread_died
    return lines.close


def set_level(level: str) -> None:
    """Show our own events from `level` on, from now on."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(threshold, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(threshold)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(threshold))


def _thread_died(died: threading.ExceptHookArgs) -> None:
    """An exception that a thread did not catch, through the same pipeline: a bare traceback may hold secrets."""
    if died.exc_value is not None:
        name = died.thread.name if died.thread else ""
        structlog.get_logger(__name__).error("thread_died", thread=name, exc_info=died.exc_value)


class Lines:
    """Writes lines to a file descriptor, from a thread of its own."""

    def __init__(self, fd: int, limit: int = QUEUE_LINES) -> None:
        self._fd = fd
        self._limit = limit
        self._queue: SimpleQueue[str | None] = SimpleQueue()
        self._dropped = 0
        self._counting = threading.Lock()
        # A daemon thread: a reader that never reads must not keep the process from ending.
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queues `line`, or drops and counts it when the queue is full. Never waits."""
        if self._queue.qsize() < self._limit:
            self._queue.put(line)
        else:
            self._drop()

    def _drop(self) -> None:
        with self._counting:
            self._dropped += 1

    def close(self, within_s: float = CLOSE_S) -> None:
        """Writes what is queued, as far as that is possible within the time."""
        self._queue.put(None)
        self._thread.join(within_s)

    def _write(self) -> None:
        while (line := self._queue.get()) is not None:
            self._write_line(line)
            with self._counting:
                dropped, self._dropped = self._dropped, 0
            if dropped:
                said = {"level": "warning", "event": "log_lines_dropped", "lines": dropped}
                self._write_line(json.dumps(said))

    def _write_line(self, line: str) -> None:
        """Below Python's buffers: a thread stuck in those would hold a lock that the interpreter's exit needs."""
        left = f"{line}\n".encode(errors="backslashreplace")
        try:
            while left:
                left = left[os.write(self._fd, left) :]
        except OSError:
            self._drop()  # nobody reads any more


class _Handler(logging.Handler):
    def __init__(self, lines: Lines, formatter: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a library's message that cannot be formatted must not stop who logs it
            line = json.dumps({"level": "warning", "event": "log_failed", "logger": record.name})
        self._lines.put(line)


def clean(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Takes secrets out of every value, by the name of its key and by the shape of its text."""
    return {key: _cleaned(key, value) for key, value in event.items()}


def _cleaned(key: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    if isinstance(value, Mapping):
        return {str(inner): _cleaned(str(inner), each) for inner, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(key, each) for each in value]
    return MASK if is_secret_name(key) else redact(str(value))


def _json(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return _visible(json.dumps(first | dict(event), ensure_ascii=False))


def _console(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """`21:04:05.123 warning  clock_stepped  by_s=3600.0 logger=daemon.supervisor`, a traceback indented below."""
    head = f"{event.pop('timestamp')[11:23]} {event.pop('level'):<8} {event.pop('event')}"
    trace = event.pop("exception", "")
    line = _visible(" ".join([head, *(f"{key}={_value(value)}" for key, value in event.items())]))
    return "\n    ".join([line, *map(_visible, trace.splitlines())])


def _value(value: Any) -> str:
    """Text that could be taken for more than one value is quoted."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    plain = isinstance(value, str) and not set(text) & set(' ="\\') and text.isprintable()
    return text if plain or not isinstance(value, str) else json.dumps(text, ensure_ascii=False)


def _visible(line: str) -> str:
    """`line` with control, bidi and other unprintable characters as escapes: one event stays one line."""
    if line.isprintable():
        return line
    return "".join(char if is_printable(char) else _escape(ord(char)) for char in line)


def _escape(code: int) -> str:
    """As JSON escapes it: two halves beyond the first plane."""
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


_SHARED: tuple[Processor, ...] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
)
