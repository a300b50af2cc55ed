"""Prints incidents: for the first minutes with pgvigil, for a journal, or as JSON lines for another program."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Literal, TextIO

from pydantic import Field

from alerts.render import View, fit_block, view
from alerts.render_digest import DigestView, digest_view
from pgvigil.model.delivery import Act, CannotLookError, Delivery, DeliveryError, DeliveryFailure, Recalled
from pgvigil.model.digest import Digest
from pgvigil.model.evidence import Block, Step
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.plugins import Params, Sink, SinkKind
from pgvigil.problems import Problem
from pgvigil.text import printable

_LITERAL_LIMIT = 8_000
_BLIND = "what was printed cannot be read back"
_RESET, _BOLD, _GREEN = "\x1b[0m", "\x1b[1m", "\x1b[32m"
_COLOURS = {Level.CRITICAL: "\x1b[31m", Level.WARNING: "\x1b[33m", Level.INFO: "\x1b[36m", Level.HOLD: ""}


class ConsoleParams(Params):
    stream: Literal["stdout", "stderr"] = Field("stdout", description="Where to write: stdout or stderr.")
    format: Literal["text", "json"] = Field(
        "text", description="text for people, json for one object a line."
    )
    colour: Literal["auto", "always", "never"] = Field(
        "auto", description="auto colours a terminal and nothing else."
    )


class ConsoleSink:
    """Lines that are printed stay printed: there is nothing to edit, and nothing to look up."""

    can_edit = False
    can_reply = False
    digest_lines = 1_000
    fallbacks: Mapping[str, int] = MappingProxyType({})  # a terminal refuses nothing

    def __init__(self, name: str, stream: TextIO, params: ConsoleParams) -> None:
        self._name = name
        self._stream = stream
        self._json = params.format == "json"
        self._colour = params.colour == "always" or (params.colour == "auto" and stream.isatty())

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        """See `Sink.perform`."""
        if not act.creates:
            raise DeliveryError(DeliveryFailure.REJECTED, "what is printed cannot be edited")
        shown = view(incident, delivery, told=act.told, possible_duplicate_of=possible_duplicate_of)
        text = as_json(act, incident, shown) if self._json else as_text(shown)
        self._write(self._coloured(text, incident) if self._colour and not self._json else text)
        return {}

    def find(self, act: Act, incident: Incident, delivery: Delivery) -> Mapping[str, str] | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.find`: there is no way."""
        raise CannotLookError(_BLIND)

    def recall(self, act: Act, incident: Incident, delivery: Delivery) -> Recalled | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.recall`: there is no way."""
        raise CannotLookError("what was printed cannot be read back")

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        """See `Sink.tell`."""
        shown = digest_view(digest, possible_duplicate_of=possible_duplicate_of)
        self._write(digest_json(digest, shown) if self._json else digest_text(shown))
        return {}

    def retell(self, digest: Digest, remote: Mapping[str, str]) -> None:  # noqa: ARG002 - the protocol names them
        """See `Sink.retell`: there is no way."""
        raise DeliveryError(DeliveryFailure.REJECTED, "what was told cannot be edited")

    def find_digest(self, digest: Digest, told_at: datetime) -> Mapping[str, str] | None:  # noqa: ARG002 - the protocol names them
        """See `Sink.find_digest`: there is no way."""
        raise CannotLookError(_BLIND)

    def check(self) -> tuple[Problem, ...]:
        """See `Sink.check`."""
        return (_closed(self._name),) if self._stream.closed else ()

    def close(self) -> None:
        """The stream is not ours to close."""

    def _write(self, text: str) -> None:
        """One write, so that two sinks on one terminal do not mix their lines."""
        encoding = self._stream.encoding or "utf-8"
        safe = f"{text}\n".encode(encoding, "replace").decode(encoding)
        try:
            self._stream.write(safe)
            self._stream.flush()
        except (OSError, ValueError) as error:
            words = getattr(error, "strerror", None) or "the stream is closed"
            raise DeliveryError(DeliveryFailure.MISCONFIGURED, f"cannot print: {words}") from None

    def _coloured(self, text: str, incident: Incident) -> str:
        head, _, rest = text.partition("\n")
        colour = _GREEN if incident.state is State.RESOLVED else _COLOURS[incident.severity]
        return f"{_BOLD}{colour}{head}{_RESET}\n{rest}"


def as_text(shown: View) -> str:
    """The whole view in plain lines, set off by a blank line."""
    return "\n".join(_lines(shown)) + "\n"


def _lines(shown: View) -> Iterator[str]:
    yield shown.header
    yield f"  {shown.lead}"
    if shown.impact:
        yield f"  {shown.impact}"
    width = max((len(figure.name) for figure in shown.figures), default=0)
    yield from (f"  {figure.name:<{width}}  {figure.value}" for figure in shown.figures)
    for block in shown.blocks:
        yield from _block(block)
    if shown.cause:
        yield f"  Likely cause: {shown.cause}"
    if shown.steps:
        yield "  Do this:"
    for number, step in enumerate(shown.steps, 1):
        yield from step_lines(number, step)
    yield from (f"  + {note}" for note in shown.notes)
    yield from (f"  {line}" for line in shown.context)
    yield f"  {shown.footer}"


def _block(block: Block) -> Iterator[str]:
    yield f"  {printable(block.title) or block.kind.value}:"
    yield from (f"    {line}" for line in fit_block(block.text, _LITERAL_LIMIT).split("\n"))


def step_lines(number: int, step: Step) -> Iterator[str]:
    """A numbered step and, below it, the command to copy."""
    yield f"    {number}. {printable(step.text)}"
    if step.sql:
        yield from (f"       {line}" for line in fit_block(step.sql, _LITERAL_LIMIT).split("\n"))


def _closed(sink: str) -> Problem:
    return Problem(
        slug="console-closed",
        sentence=f"The sink {sink} has nowhere to write: its stream is closed.",
        why="Whatever started pgvigil closed its standard output or error.",
        fix=f"Start pgvigil with the stream open, or name the other one in [sinks.{sink}].",
    )


def as_json(act: Act, incident: Incident, shown: View) -> str:
    """One line: what is told of which incident, and the parts of the message."""
    head = {
        "incident": incident.name,
        "version": act.version,
        "told": act.told,
        "rule": incident.rule,
        "target": incident.target,
        "database": incident.database,
        "state": incident.state,
        "severity": incident.severity.word,
    }
    return json.dumps(head | {"message": asdict(shown)}, ensure_ascii=True)


def digest_text(shown: DigestView) -> str:
    """The whole digest in plain lines, set off by a blank line."""
    lines = [shown.header, f"  {shown.lead}"]
    for section in shown.sections:
        lines.append(f"  {section.title}")
        lines += [f"    {line.symbol} {line.name} {line.text}" for line in section.lines]
        lines += [f"    {section.more}"] * bool(section.more)
    lines += [f"  {line}" for line in (*shown.context, shown.footer)]
    return "\n".join(lines) + "\n"


def digest_json(digest: Digest, shown: DigestView) -> str:
    """One line: what is told of which incidents, and the parts of the message."""
    told = [line.incident.name for section in digest.sections for line in section.lines]
    head = {"digest": digest.id, "since": digest.since.isoformat(), "until": digest.until.isoformat()}
    return json.dumps(head | {"incidents": told, "message": asdict(shown)}, ensure_ascii=True)


def _build(name: str, params: ConsoleParams, _public_url: str) -> Sink:
    return ConsoleSink(name, sys.stdout if params.stream == "stdout" else sys.stderr, params)


SINK = SinkKind(
    name="console",
    summary="The terminal or journal that pgvigil runs in.",
    params=ConsoleParams,
    build=_build,
    between_calls_s=0.0,
)
