"""Logging as the daemon sets it up, for the length of one test."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from daemon.logs import OURS, Form, configure


@contextmanager
def put_back() -> Iterator[None]:
    """The logging of the test run is as it was, whatever sets it up meanwhile: a command that runs in this process does."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, levels = root.handlers[:], {name: logging.getLogger(name).level for name in ("", *OURS)}
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        threading.excepthook = hook
        root.handlers[:] = handlers
        for name, before in levels.items():
            logging.getLogger(name).setLevel(before)
        structlog.reset_defaults()


@contextmanager
def logging_to_a_pipe(form: Form = "json", level: str = "info") -> Iterator[Callable[[], list[str]]]:
    """Yields what ends the log and returns its lines; puts the logging of the test run back afterwards."""
    reader, writer = os.pipe()
    with put_back():
        close = configure(form, level, fd=writer)

        def lines() -> list[str]:
            close()
            os.close(writer)
            with os.fdopen(reader, encoding="utf-8") as out:
                return out.read().splitlines()

        yield lines
