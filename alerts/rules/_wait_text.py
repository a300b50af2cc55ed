"""How a chain of lock waits is drawn and said."""

from collections.abc import Iterator

from alerts.rules._wait_trees import Chain, Node, wait_s
from collectors.lock_waits import Lock, WaitSession
from pgvigil.model.evidence import Block, BlockKind
from pgvigil.plugins import Context
from pgvigil.sql.identifiers import quote_text
from pgvigil.sql.redact import redact
from pgvigil.text import one_line
from pgvigil.units import format_duration

_WIDTHS = (6, 4, 2)  # waiters drawn below the root, below those, and below those
_LINES = 30
_QUERY = 70
_HELD = 3


def tree_block(chain: Chain, context: Context) -> Block:
    """The root first; below each session who waits for it, for how long, for what, with which statement."""
    lines = [*_root_lines(chain, context), *_branches(chain, chain.root, context, "", 0)]
    if len(lines) > _LINES:
        lines[_LINES - 1 :] = [f"... {len(lines) - _LINES + 1} more lines"]
    return Block(BlockKind.TREE, "Who waits for whom", "\n".join(lines))


def lock_words(lock: Lock | None, chain: Chain, context: Context) -> str:
    """`AccessExclusive on invoices`, `Share on a row of invoices (its transaction)`."""
    if lock is None:
        return "a lock"
    return f"{lock.mode.removesuffix('Lock')} on {_object(lock, chain, context)}"


def command(query: str) -> str:
    """The command's name: `ALTER TABLE`, `UPDATE`; of what is redacted, so it holds no data."""
    words = redact(query, 200).upper().split()[:2]
    if not words or not words[0].isalpha():
        return "A statement"
    two = len(words) == 2 and words[0] in {"ALTER", "CREATE", "DROP", "REFRESH"} and words[1].isalpha()
    return " ".join(words) if two else words[0]


def root_words(chain: Chain) -> str:
    """`pid 8123 (idle in transaction)`."""
    session = chain.root_session
    if session is None:
        return f"prepared transaction {one_line(quote_text(str(chain.root)), 60)}"
    return f"pid {session.pid} ({session.state})"


def _object(lock: Lock, chain: Chain, context: Context) -> str:
    if lock.relation_oid:
        part = {"relation": "", "tuple": "a row of "}.get(lock.locktype, f"{lock.locktype} of ")
        return part + _relation(lock, context)
    if lock.locktype == "transactionid":
        row = _claimed_row(lock, chain)
        return "a transaction" if row is None else f"a row of {_relation(row, context)} (its transaction)"
    if lock.locktype == "virtualxid":
        return "the end of a transaction"
    return lock.tag.replace("/", " ", 1)  # advisory 5/0/42/1


def _claimed_row(lock: Lock, chain: Chain) -> Lock | None:
    """Whoever waits for the transaction that changed a row holds the row's tuple lock meanwhile."""
    held = chain.graph.held
    return next((each for each in held if each.pid == lock.pid and each.locktype == "tuple"), None)


def _relation(lock: Lock, context: Context) -> str:
    name = lock.relation
    if name is None and lock.database_oid is not None and lock.relation_oid is not None:
        name = context.relation(lock.database_oid, lock.relation_oid)
    if name is not None:
        return one_line(name, 80)
    database = context.database_names.get(lock.database_oid or 0)
    where = f"database {lock.database_oid}" if database is None else one_line(database, 60)
    return f"relation {lock.relation_oid} of {where}"


def _root_lines(chain: Chain, context: Context) -> Iterator[str]:
    session = chain.root_session
    if session is not None:
        yield _root_line(session)
        yield f"│  {'runs' if session.state == 'active' else 'last'}: {_statement(session)}"
    elif (prepared := chain.root_prepared) is not None:
        gid = one_line(quote_text(prepared.gid), 80)
        where = f"user={one_line(prepared.owner, 40)}  db={one_line(prepared.database, 40)}"
        yield f"prepared transaction {gid}  {format_duration(prepared.age_s)} old  {where}"
    held = tuple(_held(chain, context))
    if held:
        yield f"│  holds: {', '.join(held)}"
    own_wait = chain.graph.waits.get(chain.root) if isinstance(chain.root, int) else None
    if own_wait is not None:
        yield f"│  waits itself for {lock_words(own_wait, chain, context)}"


def _root_line(session: WaitSession) -> str:
    in_state = "" if session.state_age_s is None else f" {format_duration(session.state_age_s)}"
    xact = "" if session.xact_age_s is None else f"  xact {format_duration(session.xact_age_s)}"
    kind = "" if session.backend_type in {"client backend", session.state} else f"  {session.backend_type}"
    return f"{session.pid} {session.state}{in_state}{kind}  {_whose(session)}{xact}"


def _whose(session: WaitSession) -> str:
    parts = (("app", session.application), ("user", session.user_name), ("db", session.database))
    return "  ".join(f"{name}={one_line(value, 40)}" for name, value in parts if value)


def _statement(session: WaitSession) -> str:
    return one_line(redact(session.query, 4 * _QUERY), _QUERY)


def _held(chain: Chain, context: Context) -> Iterator[str]:
    """What the root holds of the tables that others wait for; row locks show as the transaction."""
    gid = chain.root if isinstance(chain.root, str) else None
    pid = 0 if gid is not None else chain.root
    held = [lock for lock in chain.graph.held if lock.pid == pid and lock.gid == gid]
    words = sorted({lock_words(lock, chain, context) for lock in held if lock.locktype != "transactionid"})
    yield from words[:_HELD]
    if len(words) > _HELD:
        yield f"{len(words) - _HELD} more"


def _branches(chain: Chain, node: Node, context: Context, indent: str, depth: int) -> Iterator[str]:
    waiters = chain.children.get(node, ())
    shown, hidden = waiters[: _WIDTHS[depth]], waiters[_WIDTHS[depth] :]
    for position, pid in enumerate(shown):
        last = position == len(shown) - 1 and not hidden
        deeper = depth + 1 < len(_WIDTHS)
        behind = 0 if deeper else chain.behind(pid)
        more = f"  ({behind:,} more behind it)" if behind else ""
        yield f"{indent}{'└─' if last else '├─'} {_waiter_line(chain, pid, context)}{more}"
        if deeper:
            yield from _branches(chain, pid, context, indent + ("   " if last else "│  "), depth + 1)
    if hidden:
        count = sum(1 + chain.behind(pid) for pid in hidden)
        yield f"{indent}└─ ... {count:,} more"


def _waiter_line(chain: Chain, pid: int, context: Context) -> str:
    session = chain.graph.sessions[pid]
    waits = format_duration(wait_s(chain.graph, pid))
    wanted = lock_words(chain.graph.waits.get(pid), chain, context)
    return f"{pid} waits {waits}  {wanted}  {_statement(session)}"
