"""Sessions wait for locks that one session holds: one finding per root blocker, with the whole tree."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from alerts.grading import counted, duration_figure, grade
from alerts.rules import _sessions
from alerts.rules._wait_text import command, root_words, tree_block
from alerts.rules._wait_trees import Chain, chains, wait_s
from collectors.lock_waits import WaitGraph, WaitSession
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.finding import Finding, Judgement, Scope, query_key
from pgvigil.model.level import Level
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, DurationParams, Rule, RuleDoc
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line
from pgvigil.units import DurationS, format_duration

# Locks that let nobody, or no writer, through: a waiter for one of them stops those who come after it.
_TABLE_LOCKS = {
    "ShareLock",
    "ShareUpdateExclusiveLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
}
_MAX_CANCELS = 2


class BlockingChainParams(DurationParams):
    keep_firing_for_s: DurationS = Field(
        60.0, alias="keep_firing_for", description="How long it must be gone before it resolves."
    )
    warning: DurationS | None = Field(30.0, description="Longest wait in the chain.")
    critical: DurationS | None = Field(120.0, description="Longest wait in the chain.")
    clear: DurationS | None = Field(
        None, description="Longest wait at which it has recovered; unset: when nobody waits any more."
    )
    min_waiters: int = Field(
        3,
        ge=1,
        description="This many waiters in two samples running are a warning, however short they wait.",
    )


@dataclass(frozen=True, slots=True)
class _Before:
    """The reading before: how many sessions waited in each chain, and how long ago that was."""

    waiters: dict[str, int]
    elapsed_s: float


def evaluate(reading: Snapshot[Any] | Delta[Any], params: BlockingChainParams, context: Context) -> Judgement:
    graph: WaitGraph = reading.rows
    before = _before(reading, context)
    found = tuple(
        _finding(chain, level, before, context)
        for chain in chains(graph)
        if (level := _level(chain, params, before)) is not None
    )
    return Judgement(found, _scope(graph, found))


def _before(reading: Snapshot[Any] | Delta[Any], context: Context) -> _Before:
    """Empty when the sample before is missing or too old to be the one before."""
    previous = context.previous
    if not isinstance(reading, Snapshot) or not isinstance(previous, Snapshot):
        return _Before({}, 0.0)
    elapsed_s = reading.mono_s - previous.mono_s
    if not 0 < elapsed_s <= 3 * reading.interval_s:
        return _Before({}, 0.0)
    return _Before({chain.subject: len(chain.waiters) for chain in chains(previous.rows)}, elapsed_s)


def _level(chain: Chain, params: BlockingChainParams, before: _Before) -> Level | None:
    """While somebody waits, an open incident holds, unless `clear` says otherwise."""
    graded = grade(chain.longest_wait_s, params)
    crowd = min(len(chain.waiters), before.waiters.get(chain.subject, 0)) >= params.min_waiters
    if crowd and params.warning is not None:
        return max(Level.WARNING, graded or Level.WARNING)
    return Level.HOLD if graded is None and params.clear is None else graded


def _scope(graph: WaitGraph, found: tuple[Finding, ...]) -> Scope:
    """Everything, unless some waiters were not seen or not followed: then only the chains that were found."""
    subjects = frozenset(finding.subject for finding in found)
    if graph.blind:
        return Scope(
            only=subjects, reason="sessions are hidden from the role: it is not a member of pg_monitor"
        )
    if graph.unexamined:
        return Scope(only=subjects, reason=f"{graph.unexamined} more waiters were counted and not followed")
    return Scope()


def _finding(chain: Chain, level: Level, before: _Before, context: Context) -> Finding:
    waiters = [chain.graph.sessions[pid] for pid in chain.waiters]
    root = chain.root_session
    sessions = waiters if root is None else [root, *waiters]
    keys = frozenset(session.key for session in sessions)
    prepared = chain.root_prepared
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=root.database if root is not None else prepared.database if prepared is not None else None,
        subject=chain.subject,
        level=level,
        summary=f"{counted(len(waiters), 'session')} blocked {format_duration(chain.longest_wait_s)}"
        f" by {root_words(chain)}",
        value=chain.longest_wait_s,
        evidence=_evidence(chain, before, context),
        steps=(*_look(chain), *_cancel_queued(chain), *_end_root(chain)),
        about=keys,
        explains=keys
        | {chain.subject}
        | {query_key(session.query_id) for session in sessions if session.query_id is not None},
    )


# --- evidence ---------------------------------------------------------------------------------------------


def _evidence(chain: Chain, before: _Before, context: Context) -> Evidence:
    return Evidence(
        impact=_impact(chain, before, context),
        figures=(
            Figure("Waiters", f"{len(chain.waiters):,}"),
            Figure("Longest wait", format_duration(chain.longest_wait_s)),
            *_root_figures(chain),
        ),
        blocks=(tree_block(chain, context),),
        cause=_cause(chain),
        notes=_notes(chain.graph),
    )


def _impact(chain: Chain, before: _Before, context: Context) -> str:
    graph, waiters = chain.graph, len(chain.waiters)
    text = f"{waiters:,} of {counted(graph.connections, 'connection')} {'waits' if waiters == 1 else 'wait'}"
    known = before.waiters.get(chain.subject)
    growth = 0.0 if known is None else (waiters - known) / before.elapsed_s
    if growth < 0.05:  # less than three more a minute says nothing
        return f"{text} for this one."
    text += f"; the queue grows by {growth:.1f} sessions a second"
    if context.facts is None:
        return f"{text}."
    left = max(0, context.facts.max_connections - context.facts.reserved_connections - graph.connections)
    return f"{text}, and at this pace the last connection slot is taken in {format_duration(left / growth)}."


def _root_figures(chain: Chain) -> tuple[Figure, ...]:
    session, prepared = chain.root_session, chain.root_prepared
    if session is not None:
        return (
            Figure("Root", f"pid {session.pid}, connected {session.backend_start:%Y-%m-%d %H:%M:%SZ}"),
            Figure("Application", one_line(session.application) or "(not named)"),
            Figure("User", one_line(session.user_name) or session.backend_type),
            Figure("Client", one_line(session.client)),
            duration_figure("Transaction age", session.xact_age_s),
        )
    if prepared is not None:
        return (
            Figure("Root", f"prepared transaction {one_line(quote_text(prepared.gid), 60)}"),
            Figure("User", one_line(prepared.owner)),
            duration_figure("Prepared for", prepared.age_s),
        )
    return ()


def _cause(chain: Chain) -> str:
    queued = _queued(chain)
    if queued:
        first = queued[0]
        return (
            f"{command(first.query)} by {_sessions.who(first)} is queued behind {root_words(chain)}, and"
            f" {counted(chain.behind(first.pid), 'session')} that the root alone would let through"
            f" {'waits' if chain.behind(first.pid) == 1 else 'wait'} behind it."
        )
    session = chain.root_session
    if session is None:
        return "A prepared transaction was neither committed nor rolled back: its coordinator has lost it."
    return _root_cause(session)


def _root_cause(root: WaitSession) -> str:
    if root.backend_type == "autovacuum worker":
        return "Autovacuum holds the table. It gives way by itself, unless it runs to prevent wraparound."
    if root.idle_in_transaction:
        return "The root took its locks and now waits for its client, in an open transaction."
    if root.state == "idle":
        return "The root is idle outside a transaction: it holds a session-level advisory lock."
    return f"The root still works ({command(root.query)}); it keeps its locks until its transaction ends."


def _notes(graph: WaitGraph) -> tuple[str, ...]:
    if not graph.unexamined:
        return ()
    return (f"{counted(graph.unexamined, 'more waiter')} on this server counted, not followed.",)


# --- steps ------------------------------------------------------------------------------------------------


def _queued(chain: Chain) -> list[WaitSession]:
    """Waiters for a lock on a whole table that hold up others behind them, the longest queue first."""
    found = [
        pid
        for pid in chain.waiters
        if chain.children.get(pid)
        and (wait := chain.graph.waits.get(pid)) is not None
        and wait.locktype == "relation"
        and wait.mode in _TABLE_LOCKS
    ]
    found.sort(key=lambda pid: (-chain.behind(pid), -wait_s(chain.graph, pid), pid))
    return [chain.graph.sessions[pid] for pid in found]


def _look(chain: Chain) -> tuple[Step, ...]:
    session = chain.root_session
    if session is not None:
        return (_sessions.look_step(session.pid, session.backend_start),)
    gid = quote_text(str(chain.root))
    return (Step("See whether it is still there.", f"SELECT * FROM pg_prepared_xacts WHERE gid = {gid}"),)


def _cancel_queued(chain: Chain) -> tuple[Step, ...]:
    """First of all: it frees those who wait behind it, and loses no work but its own waiting."""
    return tuple(
        _sessions.cancel_step(
            waiter.pid,
            waiter.backend_start,
            f"Cancel the queued {command(waiter.query)} first: {counted(chain.behind(waiter.pid), 'session')}"
            " behind it can go on. Run it again later, with a lock_timeout.",
        )
        for waiter in _queued(chain)[:_MAX_CANCELS]
        if waiter.backend_type == "client backend"
    )


def _end_root(chain: Chain) -> tuple[Step, ...]:
    session, prepared = chain.root_session, chain.root_prepared
    if prepared is not None:
        gid = quote_text(prepared.gid)
        return (
            Step(
                "Ask the transaction manager that prepared it which way it went. Then end it, connected to"
                f" database {one_line(prepared.database, 60)}: COMMIT PREPARED, or",
                f"ROLLBACK PREPARED {gid}",
            ),
        )
    if session is None or session.backend_type != "client backend":
        return (Step("The root is not a client: do not end it. Look at what it is for."),)
    pid, started = session.pid, session.backend_start
    end = _sessions.terminate_step(
        pid, started, "Last: end the root's connection; its transaction rolls back."
    )
    if session.state != "active":
        return (
            Step("Ask the root's owner to commit or roll back; cancelling has no effect on an idle one."),
            end,
        )
    return (_sessions.cancel_step(pid, started, "Then cancel the root's statement."), end)


RULE = Rule(
    name="blocking_chain",
    watches=("lock_waits",),
    params=BlockingChainParams,
    evaluate=evaluate,
    absorbs=frozenset(
        {
            "idle_in_transaction",
            "long_transaction",
            "long_running_query",
            "prepared_transaction_old",
            "slow_query",
        }
    ),
    linger=True,
    doc=RuleDoc(
        meaning="Sessions wait for locks, and one session (or prepared transaction) is at the root of it. All"
        " who wait because of it, directly or in a queue behind others, are one incident. What the chain"
        " explains, such as its root idling in a transaction or its waiters' slow statements, becomes"
        " evidence here.",
        magnitude="longest wait in the chain, a duration",
        why_these_defaults="Waits of a second are ordinary; after 30 seconds callers time out, after two minutes"
        " pools are full. Three waiters in two samples (5 s apart) are a queue that grows before anybody has"
        " waited long. It holds until nobody waits, and a minute more, because a queue that drains can fill"
        " again at once. Waits are measured by the server from PostgreSQL 14 on (pg_locks.waitstart); before,"
        " from the start of the waiting statement.",
        evidence="The tree of who waits for whom, with the lock and the statement of each; what the root does,"
        " since when, and whose it is; how fast the queue grows. Statements are shown without their literals.",
        what_to_do="Cancel a queued DDL statement first: that frees the readers behind it and loses nothing."
        " Then deal with the root, by pid and backend_start, so that a reused pid is safe. Terminate last."
        " lock_timeout for migrations and idle_in_transaction_session_timeout for services prevent the next.",
        how_to_look="""\
SELECT w.pid, w.usename, w.application_name, w.wait_event, pg_blocking_pids(w.pid) AS blocked_by, w.query
FROM pg_stat_activity AS w
WHERE w.wait_event_type = 'Lock'
ORDER BY w.query_start""",
    ),
)
