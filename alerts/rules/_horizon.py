"""What the rules about vacuum say of who holds the xmin horizon: a name, and the safe way to let it go."""

from alerts.rules import _sessions, _tables
from alerts.rules._replication import slot_entity
from collectors.xmin_horizon import Holder
from pgvigil.model.evidence import Block, Step
from pgvigil.sql.identifiers import quote_text
from pgvigil.text import one_line

_SHOWN = 8
_NAMELESS = frozenset({"", "walreceiver"})  # what a standby is called that nobody gave a name


def subject(holder: Holder, among: tuple[Holder, ...]) -> str:
    """Its identity, as the rules about sessions, prepared transactions and slots write it; no other of `among` has it."""
    match holder.kind:
        case "session":
            return holder.session_key or "session"
        case "prepared":
            return f"prepared {quote_text(holder.name)}"
        case "standby":
            return _standby_subject(holder, among)
        case "slot_catalog":
            return f"slot {quote_text(holder.name)} (catalogs)"
        case _:
            return f"slot {quote_text(holder.name)}"


def _standby_subject(holder: Holder, among: tuple[Holder, ...]) -> str:
    """By its own name, and by its address where that is no name or not its alone.

    It has no slot: what a standby with a slot holds back is the slot's.
    """
    named_so = [each for each in among if each.kind == "standby" and each.name == holder.name]
    text = f"standby {quote_text(holder.name)}"
    if len(named_so) < 2 and holder.name not in _NAMELESS:
        return text
    here = [each for each in named_so if each.client == holder.client]
    return f"{text} at {holder.client}" + (f", pid {holder.pid}" if len(here) > 1 else "")


def entity(holder: Holder, among: tuple[Holder, ...]) -> str:
    """What it is `about`: a slot is one thing, whatever it holds."""
    return slot_entity(holder.name) if holder.kind in {"slot", "slot_catalog"} else subject(holder, among)


def holds_back(holder: Holder) -> tuple[str, ...]:
    """Entities: a session and a prepared transaction in their database, slots and standbys in all; none for catalogues alone."""
    if holder.kind == "slot_catalog":
        return ()
    return (_sessions.horizon_of(holder.database),) if holder.database else (_sessions.HORIZON,)


def named(holder: Holder) -> str:
    """For a sentence."""
    name = one_line(quote_text(holder.name), 60)
    match holder.kind:
        case "session":
            user = f"user {one_line(holder.user_name, 40)}" if holder.user_name else holder.backend_type
            application = f"{one_line(holder.application, 40)}, " if holder.application else ""
            return f"pid {holder.pid} ({application}{user}{f', {holder.state}' if holder.state else ''})"
        case "prepared":
            return f"prepared transaction {name}"
        case "standby":
            return f"standby {name} at {holder.client} (hot_standby_feedback)"
        case "slot_catalog":
            return f"logical slot {name} ({holder.state})"
        case _:
            return f"replication slot {name} ({holder.state})"


def steps(holder: Holder) -> tuple[Step, ...]:
    """How to see what it is, and to end it without harm where that is possible."""
    match holder.kind:
        case "session":
            return _session(holder)
        case "prepared":
            return _prepared(holder)
        case "standby":
            return _standby(holder)
        case _:
            return _slot(holder)


def table(holders: tuple[Holder, ...]) -> Block:
    """All of them, the oldest first."""
    rows = [(each.xids, named(each), one_line(each.database, 40)) for each in holders]
    return _tables.table_block("Who holds it back", ("transaction ids", "holder", "database"), rows, _SHOWN)


def _session(holder: Holder) -> tuple[Step, ...]:
    if holder.pid is None or holder.backend_start is None:
        return ()
    look = _sessions.look_step(holder.pid, holder.backend_start)
    if holder.backend_type != "client backend":
        return (look,)
    end = "If its work may be lost, end the connection; its transaction rolls back."
    return look, _sessions.terminate_step(holder.pid, holder.backend_start, end)


def _prepared(holder: Holder) -> tuple[Step, ...]:
    gid = quote_text(holder.name)
    return (
        Step(
            "Ask the owner, or the transaction manager, how it was to end.",
            "SELECT gid, prepared, owner, database, age(transaction) FROM pg_prepared_xacts"
            f" WHERE gid = {gid}",
        ),
        Step(
            f"Then, in database {one_line(holder.database, 60)} as its owner or a superuser, COMMIT PREPARED {gid};"
            " or, where nobody knows of it any more, roll it back.",
            f"ROLLBACK PREPARED {gid}",
        ),
    )


def _slot(holder: Holder) -> tuple[Step, ...]:
    name = quote_text(holder.name)
    return (
        Step(
            "See whose it is, and whether that one still comes.",
            "SELECT slot_name, slot_type, plugin, database, active, active_pid, restart_lsn, age(xmin),"
            f" age(catalog_xmin) FROM pg_replication_slots WHERE slot_name = {name}",
        ),
        Step("If its consumer is to come back, start it: the slot lets go when it has caught up."),
        Step(
            "If it is gone for good, drop the slot. What it had not read yet is lost to it: a standby or subscriber that"
            " comes back after all has to be made anew.",
            f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {name}"
            " AND NOT active",
        ),
    )


def _standby(holder: Holder) -> tuple[Step, ...]:
    return (
        Step(
            f"On the standby ({holder.client}), find the query with the oldest snapshot; cancel it there if it may be"
            " lost.",
            "SELECT pid, usename, application_name, state, now() - xact_start AS open_for, age(backend_xmin) AS xids,"
            " query FROM pg_stat_activity WHERE backend_xmin IS NOT NULL ORDER BY age(backend_xmin) DESC LIMIT 5",
        ),
        Step(
            "For good: run long reports on a standby with hot_standby_feedback = off and a larger"
            " max_standby_streaming_delay, or give the role there a statement_timeout."
        ),
    )
