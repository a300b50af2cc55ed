"""One line per event, whatever is in it; and nobody waits for the reader."""

import json
import logging
import os
import threading
import time
import warnings

import pytest
import structlog

from daemon.logs import Lines
from tests.support.logs import logging_to_a_pipe

HOSTILE = "evil\n21:00:00.000 error    forged\x1b[2K \u202e\u2028\x85\x00 \U000e0041 ünï"


def log() -> structlog.typing.FilteringBoundLogger:
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("daemon.test")
    return logger


def test_json_has_the_event_its_keys_and_when() -> None:
    with logging_to_a_pipe() as lines:
        log().info("incident_fired", target="orders", waiters=3, share=0.5, open=True, database=None)
        (line,) = lines()
    event = json.loads(line)
    stamp = event.pop("timestamp")
    assert stamp.endswith("Z")
    assert event == {
        "event": "incident_fired",
        "level": "info",
        "logger": "daemon.test",
        "target": "orders",
        "waiters": 3,
        "share": 0.5,
        "open": True,
        "database": None,
    }


@pytest.mark.parametrize("form", ["json", "console"])
def test_hostile_text_stays_on_its_line_and_is_visible(form: str) -> None:
    with logging_to_a_pipe(form) as lines:  # type: ignore[arg-type]
        log().warning("object_skipped", name=HOSTILE)
        (line,) = lines()
    assert line.isprintable()
    assert "ünï" in line
    if form == "json":
        assert json.loads(line)["name"] == HOSTILE
    else:
        assert r"evil\n21:00:00.000 error" in line


def test_a_value_cannot_pass_for_another_key() -> None:
    with logging_to_a_pipe("console") as lines:
        log().info("x", name='a" level=critical', b="plain")
        (line,) = lines()
    assert line.endswith(r'x name="a\" level=critical" b=plain logger=daemon.test')


def test_a_traceback_is_indented_below_its_line() -> None:
    with logging_to_a_pipe("console") as lines:
        log().error("job_failed", exc_info=ValueError("a\nforged \x1b[1m"))
        head, *trace = lines()
    assert "job_failed" in head
    assert all(line.startswith("    ") for line in trace)
    assert all(line.isprintable() for line in trace)
    assert trace[-1] == r"    forged \u001b[1m"


def test_levels_of_our_own_and_of_libraries() -> None:
    with logging_to_a_pipe(level="debug") as lines:
        log().debug("cycle_done")
        logging.getLogger("slack_sdk.web.base_client").debug("token xoxb-...")
        logging.getLogger("apscheduler.scheduler").info("Added job")
        logging.getLogger("urllib3.connectionpool").warning("Retrying %s", "request")
        events = [json.loads(line)["event"] for line in lines()]
    assert events == ["cycle_done", "Retrying request"]


def test_below_the_level_nothing_is_written() -> None:
    with logging_to_a_pipe(level="error") as lines:
        log().warning("x")
        logging.getLogger("uvicorn.error").warning("y")
        log().error("z")
        events = [json.loads(line)["event"] for line in lines()]
    assert events == ["z"]


def test_what_cannot_be_formatted_does_not_stop_who_logs_it() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    with logging_to_a_pipe() as lines:
        log().info("x", value=Broken())
        logging.getLogger("uvicorn").warning("%d", "no number")
        events = [json.loads(line)["event"] for line in lines()]
    assert events == ["log_failed", "log_failed"]


def test_warnings_and_dying_threads_are_logged() -> None:
    def die() -> None:
        raise ValueError("password=hunter2")

    with logging_to_a_pipe() as lines:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            logging.captureWarnings(capture=True)
            warnings.warn("old", stacklevel=1)
        thread = threading.Thread(target=die, name="lane")
        thread.start()
        thread.join()
        warned, died = (json.loads(line) for line in lines())
    assert "old" in warned["event"]
    assert (died["event"], died["thread"]) == ("thread_died", "lane")
    assert "hunter2" not in died["exception"]


def test_a_reader_that_stalls_holds_nobody_up() -> None:
    """The pipe is full and nobody reads: lines are dropped, then counted as soon as one gets through."""
    reader, writer = os.pipe()
    lines = Lines(writer, limit=10)
    big = "x" * 60_000
    began = time.monotonic()
    while not lines._dropped and time.monotonic() < began + 10:
        lines.put(big)
    dropped = lines._dropped
    assert dropped
    lines.close(within_s=0.05)
    assert lines._thread.is_alive()
    text = ""
    with os.fdopen(reader) as out:
        while "log_lines_dropped" not in text and time.monotonic() < began + 10:
            text += out.readline()
        said = json.loads(text.splitlines()[-1])
        assert said["lines"] == dropped
    lines._thread.join(10)  # the reader is gone now: the rest is dropped
    assert not lines._thread.is_alive()
    os.close(writer)


def test_a_reader_that_left_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    lines = Lines(writer)
    lines.put("x")
    lines.put("y")
    lines.close()
    assert not lines._thread.is_alive()
    assert lines._dropped
    os.close(writer)
