"""How a chain of lock waits is drawn and said."""

from collections.abc import Iterator
from dataclasses import replace

from alerts.rules._wait_trees import Chain, Node, wait_s
from collectors.lock_waits import Lock, WaitSession
from pgvigil.model.evidence import Block, BlockKind, Branch, Figure
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
    tree = _root(chain, context)
    lines = [*_root_lines(tree), *_drawn(tree, "")]
    if len(lines) > _LINES:
        lines[_LINES - 1 :] = [f"... {len(lines) - _LINES + 1} more lines"]
    return Block(BlockKind.TREE, "Who waits for whom", "\n".join(lines), tree)


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


# --- the tree ---------------------------------------------------------------------------------------------


def _root(chain: Chain, context: Context) -> Branch:
    session, prepared = chain.root_session, chain.root_prepared
    own_wait = chain.graph.waits.get(chain.root) if isinstance(chain.root, int) else None
    below, hidden = _below(chain, chain.root, context, 0)
    root = Branch(
        name=str(chain.root),
        state="",
        wants="" if own_wait is None else lock_words(own_wait, chain, context),
        holds=", ".join(_held(chain, context)),
        below=below,
        hidden=hidden,
    )
    if session is not None:
        return replace(
            root,
            state=_session_state(session),
            figures=_whose(session),
            statement=_statement(session),
            running=session.state == "active",
        )
    if prepared is not None:
        return replace(
            root,
            name=f"prepared transaction {one_line(quote_text(prepared.gid), 80)}",
            state=f"{format_duration(prepared.age_s)} old",
            figures=(
                Figure("user", one_line(prepared.owner, 40)),
                Figure("db", one_line(prepared.database, 40)),
            ),
        )
    return root


def _session_state(session: WaitSession) -> str:
    in_state = "" if session.state_age_s is None else f" {format_duration(session.state_age_s)}"
    kind = "" if session.backend_type in {"client backend", session.state} else f"  {session.backend_type}"
    return f"{session.state}{in_state}{kind}"


def _whose(session: WaitSession) -> tuple[Figure, ...]:
    parts = (("app", session.application), ("user", session.user_name), ("db", session.database))
    xact = () if session.xact_age_s is None else (Figure("xact", format_duration(session.xact_age_s)),)
    return (*(Figure(name, one_line(value, 40)) for name, value in parts if value), *xact)


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


def _below(chain: Chain, node: Node, context: Context, depth: int) -> tuple[tuple[Branch, ...], int]:
    """Who waits for `node` as far as it is shown, and how many more there are."""
    waiters = chain.children.get(node, ())
    width = _WIDTHS[depth] if depth < len(_WIDTHS) else 0
    hidden = sum(1 + chain.behind(pid) for pid in waiters[width:])
    return tuple(_waiter(chain, pid, context, depth) for pid in waiters[:width]), hidden


def _waiter(chain: Chain, pid: int, context: Context, depth: int) -> Branch:
    session = chain.graph.sessions[pid]
    below, hidden = _below(chain, pid, context, depth + 1)
    return Branch(
        name=str(pid),
        state=f"waits {format_duration(wait_s(chain.graph, pid))}",
        wants=lock_words(chain.graph.waits.get(pid), chain, context),
        figures=_whose(session),
        statement=_statement(session),
        below=below,
        hidden=hidden,
    )


# --- in letters -------------------------------------------------------------------------------------------


def _root_lines(root: Branch) -> Iterator[str]:
    facts = [f"{figure.name}{' ' if figure.name == 'xact' else '='}{figure.value}" for figure in root.figures]
    yield "  ".join((f"{root.name} {root.state}".rstrip(), *facts))
    if root.statement:
        yield f"│  {'runs' if root.running else 'last'}: {root.statement}"
    if root.holds:
        yield f"│  holds: {root.holds}"
    if root.wants:
        yield f"│  waits itself for {root.wants}"


def _drawn(branch: Branch, indent: str) -> Iterator[str]:
    for position, waiter in enumerate(branch.below):
        last = position == len(branch.below) - 1 and not branch.hidden
        behind = waiter.hidden if not waiter.below else 0
        more = f"  ({behind:,} more behind it)" if behind else ""
        words = f"{waiter.name} {waiter.state}  {waiter.wants}  {waiter.statement}{more}"
        yield f"{indent}{'└─' if last else '├─'} {words}"
        if waiter.below:
            yield from _drawn(waiter, indent + ("   " if last else "│  "))
    if branch.hidden:
        yield f"{indent}└─ ... {branch.hidden:,} more"
