"""`pgvigil notify`: does a sink work?"""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer

from daemon.cli import codes
from daemon.cli.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigFile,
    command_app,
    load_settings,
    print_json,
    problem_lines,
)
from daemon.clock import system_now
from daemon.jsonable import problem as problem_object
from daemon.settings.errors import nearest
from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryError, DeliveryFailure, Told
from pgvigil.model.evidence import Block, BlockKind, Evidence, Step
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink
from pgvigil.problems import Problem

app = command_app("Try the sinks out.", group=True)
SETUP_FAILURES = (DeliveryFailure.MISCONFIGURED, DeliveryFailure.REJECTED, DeliveryFailure.GONE)


@dataclass(frozen=True, slots=True)
class Trial:
    """How a sink took the test: what is wrong with its set-up, and why the message did not arrive."""

    sink: str
    kind: str
    problems: tuple[Problem, ...]
    error: str
    code: int


@app.callback()
def notify() -> None:
    """Try the sinks out."""


@app.command("test")
def try_sinks(
    *,
    config: ConfigFile = DEFAULT_CONFIG,
    sink: Annotated[str | None, typer.Option(help="Only this sink; otherwise all.")] = None,
    json: AsJson = False,
) -> None:
    """Send a test incident through the sinks, clearly marked as one, and resolve it."""
    settings = load_settings(config)
    if sink is not None and sink not in settings.sinks:
        raise typer.BadParameter(f"there is no sink {sink!r}; {nearest(sink, tuple(settings.sinks))}")
    trials = []
    for name, (kind, params) in settings.sinks.items():
        if sink in (None, name):
            with closing(kind.made(name, params, settings.daemon.public_url.reveal(), system_now)) as built:
                trials.append(_try(name, kind.name, built))
    if json:
        print_json({"sinks": [_as_object(trial) for trial in trials]})
    else:
        _print(trials)
    raise typer.Exit(max((trial.code for trial in trials), default=codes.SETUP))


def _try(name: str, kind: str, sink: Sink) -> Trial:
    problems: tuple[Problem, ...] = ()
    try:
        problems = sink.check()
        send_test(name, sink, system_now())
    except DeliveryError as error:
        failed = codes.SETUP if error.kind in SETUP_FAILURES else codes.UNKNOWN
        return Trial(name, kind, problems, str(error), failed)
    # It arrived, and yet something may not be as it should be.
    return Trial(name, kind, problems, "", codes.WARNING if problems else codes.OK)


def send_test(name: str, sink: Sink, now: Moment) -> None:
    """Posts a test incident and resolves it as the outbox would; raises DeliveryError."""
    firing = _incident(now)
    row = Delivery(incident_id=0, sink=name, want_version=1, urgency=Level.INFO, due_since=now.utc)
    remote = sink.perform(Act(ActKind.POST, 0, 1), firing, row)
    resolved = replace(
        firing, state=State.RESOLVED, version=2, resolved_at=now.utc, reason="the test is over"
    )
    told = replace(
        row,
        want_version=2,
        remote=remote,
        seen_version=1,
        seen_state=State.FIRING,
        seen_level=firing.severity,
    )
    for act in _resolving(sink):
        sink.perform(act, resolved, told)


def _resolving(sink: Sink) -> Iterable[Act]:
    if not sink.can_edit:
        return (Act(ActKind.POST, 0, 2, Told.RESOLVED),)
    reply = (Act(ActKind.REPLY, 0, 2, Told.RESOLVED),) if sink.can_reply else ()
    return (Act(ActKind.EDIT, 0, 2), *reply)


def _incident(now: Moment) -> Incident:
    evidence = Evidence(
        impact="None: this is what `pgvigil notify test` sends.",
        blocks=(Block(BlockKind.SQL, "How evidence looks", "SELECT 'a test' AS what;"),),
        cause="Somebody wants to know whether messages arrive here. They do.",
    )
    return Incident(
        id=0,
        rule="test",
        target="pgvigil",
        database=None,
        subject="test",
        state=State.FIRING,
        severity=Level.INFO,
        peak=Level.INFO,
        version=1,
        summary="TEST: nothing is wrong and nobody has to do anything.",
        value=None,
        peak_value=None,
        pending_since=now.utc,
        fired_at=now.utc,
        last_true_at=now.utc,
        state_since=now.utc,
        evaluated_at=now.utc,
        evidence=evidence,
        steps=(Step("Nothing. In a real incident the safe next command stands here."),),
    )


def _as_object(trial: Trial) -> dict[str, Any]:
    return {**asdict(trial), "problems": [problem_object(each) for each in trial.problems]}


def _print(trials: list[Trial]) -> None:
    if not trials:
        typer.echo("no sink is configured", err=True)
    for trial in trials:
        sent = f"failed: {trial.error}" if trial.error else "sent, and resolved"
        typer.echo(f"{trial.sink} ({trial.kind}): {sent}", err=bool(trial.error))
        for problem in trial.problems:
            for line in problem_lines(problem, "  "):
                typer.echo(line, err=True)
