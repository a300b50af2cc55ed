"""The console sink prints the whole diagnosis, safely, and admits that it cannot edit."""

import io
import json
import os

import pytest

from alerts.sinks.console import SINK, ConsoleParams, ConsoleSink
from pgvigil.model.delivery import ActKind, CannotLookError, DeliveryError, DeliveryFailure, Told
from pgvigil.model.digest import Digest, Line, Section
from pgvigil.model.evidence import Block, BlockKind, Evidence
from tests.unit.sinks.samples import BEGAN, NOW, TREE, act, delivery, pile_up, resolved


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(stream: io.StringIO | None = None, **params: str) -> str:
    stream = stream or io.StringIO()
    ConsoleSink("here", stream, ConsoleParams(**params)).perform(act(), pile_up(), delivery())
    return stream.getvalue()


def test_the_whole_diagnosis_is_printed() -> None:
    lines = printed().splitlines()
    assert lines[0] == "🔴 Blocking chain · shop @ orders-prod"
    assert lines[1] == "  23 sessions blocked 4m12s by pid 8123 (idle in transaction)"
    assert all(f"    {line}" in lines for line in TREE.splitlines())
    assert "       SELECT pg_cancel_backend(9020);" in lines
    assert lines[-2] == "  INC-412 · rule blocking_chain · evaluated 2026-11-22T20:14:05Z"
    assert lines[-1] == ""


def test_colour_is_for_terminals_only() -> None:
    assert "\x1b" not in printed()
    assert "\x1b[31m" in printed(Terminal())
    assert "\x1b" not in printed(Terminal(), colour="never")
    assert "\x1b[31m" in printed(colour="always")


def test_json_is_one_object_a_line() -> None:
    [line] = printed(Terminal(), format="json").splitlines()
    told = json.loads(line)
    assert (told["incident"], told["severity"], told["state"]) == ("INC-412", "critical", "firing")
    assert told["message"]["blocks"][0]["text"] == TREE


def test_a_resolve_says_so() -> None:
    stream = io.StringIO()
    ConsoleSink("here", stream, ConsoleParams()).perform(
        act(ActKind.POST, Told.RESOLVED), resolved(), delivery()
    )
    assert stream.getvalue().startswith("✅ Resolved after 14m07s")
    assert "pg_terminate_backend" not in stream.getvalue()


def test_hostile_text_cannot_move_the_cursor_nor_break_the_stream() -> None:
    text = "\x1b[2J\x07\u202e lone \ud800 name"
    evidence = Evidence(impact=text, cause=text, blocks=(Block(BlockKind.SQL, text, text),))
    raw = io.BytesIO()
    sink = ConsoleSink("here", io.TextIOWrapper(raw, encoding="ascii"), ConsoleParams())
    sink.perform(act(), pile_up(summary=text, database=text, evidence=evidence), delivery())
    assert b"\x1b" not in raw.getvalue()
    assert b"\x07" not in raw.getvalue()


def test_a_reader_that_went_away_is_a_misconfiguration_not_a_crash() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    with pytest.raises(DeliveryError) as caught:
        ConsoleSink("here", stream, ConsoleParams()).perform(act(), pile_up(), delivery())
    assert caught.value.kind is DeliveryFailure.MISCONFIGURED
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_it_cannot_edit_nor_look() -> None:
    sink = SINK.build("console", ConsoleParams(stream="stderr"), "")
    assert not sink.can_edit
    assert sink.check() == ()
    with pytest.raises(DeliveryError, match="cannot be edited"):
        sink.perform(act(ActKind.EDIT), pile_up(), delivery())
    with pytest.raises(CannotLookError):
        sink.find(act(), pile_up(), delivery())


def test_it_writes_where_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    SINK.build("console", ConsoleParams(stream="stderr"), "").perform(act(), pile_up(), delivery())
    out, err = capsys.readouterr()
    assert (out, bool(err)) == ("", True)


def digest() -> Digest:
    lines = (Line(incident=pile_up()), Line(incident=pile_up(id=413), note="reopened"))
    return Digest(
        id=4,
        part=1,
        title="pgvigil was away for 2h",
        since=BEGAN,
        until=NOW,
        footer="From 2026-11-22 20:08Z to 2026-11-22 20:14Z nobody looked.",
        sections=(
            Section("New", lines),
            Section("Resolved meanwhile", (Line(incident=resolved(id=411)),), 2),
        ),
    )


def test_a_digest_is_printed_line_by_line() -> None:
    stream = io.StringIO()
    sink = ConsoleSink("here", stream, ConsoleParams())
    sink.tell(digest(), possible_duplicate_of=NOW)
    place = "Blocking chain · shop @ orders-prod"
    summary = "23 sessions blocked 4m12s by pid 8123 (idle in transaction)"
    assert stream.getvalue().splitlines() == [
        "📋 pgvigil was away for 2h",
        "  2 new, 3 resolved meanwhile",
        "  New (2)",
        f"    🔴 INC-412 {place} · for 6m04s · {summary}",
        f"    🔴 INC-413 {place} · reopened · for 6m04s · {summary}",
        "  Resolved meanwhile (3)",
        f"    ✅ INC-411 {place} · lasted 14m07s, was {summary}",
        "    … and 2 more: pgvigil incidents list",
        "  ⚠️ possible duplicate of a send at 20:14:05Z",
        "  From 2026-11-22 20:08Z to 2026-11-22 20:14Z nobody looked.",
        "",
    ]
    with pytest.raises(CannotLookError):
        sink.find_digest(digest(), NOW)


def test_a_digest_as_json_names_its_incidents() -> None:
    stream = io.StringIO()
    ConsoleSink("here", stream, ConsoleParams(format="json")).tell(digest())
    told = json.loads(stream.getvalue())
    assert (told["digest"], told["incidents"]) == (4, ["INC-412", "INC-413", "INC-411"])
    assert told["message"]["lead"] == "2 new, 3 resolved meanwhile"
