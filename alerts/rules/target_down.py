"""The server answers no query at all."""

from typing import Any

from pydantic import Field

from alerts.grading import counted
from pgvigil.model.availability import Availability
from pgvigil.model.evidence import Evidence, Figure, Step
from pgvigil.model.failure import Failure, FailureKind
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope, target_key
from pgvigil.model.kind import TargetKind
from pgvigil.model.snapshot import Delta, Snapshot
from pgvigil.plugins import Context, Rule, RuleDoc, SeverityParams
from pgvigil.text import one_line
from pgvigil.units import DurationS, format_duration


class TargetDownParams(SeverityParams):
    for_s: DurationS = Field(30.0, alias="for", description="How long it must hold before it fires.")
    severity: str = Field(
        "critical", pattern="^(info|warning|critical)$", description="info, warning or critical."
    )
    starting_s: DurationS = Field(
        180.0,
        alias="starting",
        description="How long a standby may start up: it replays its log before it answers.",
    )


def evaluate(reading: Snapshot[Any] | Delta[Any], params: TargetDownParams, context: Context) -> Judgement:
    availability: Availability = reading.rows
    if availability.up:
        return Judgement((), Scope())
    failure = availability.failure
    if failure is None or not failure.kind.means_down:
        return Judgement(
            (), NOTHING if failure is None else Scope(databases=frozenset(), reason=failure.message)
        )
    if _starts(availability, failure, params, context):
        return Judgement((), NOTHING)
    return Judgement((_finding(availability, failure, params, context),), Scope())


def _starts(availability: Availability, failure: Failure, params: TargetDownParams, context: Context) -> bool:
    """Whether it is a standby that was restarted a moment ago: neither down nor up yet."""
    standby = context.facts is not None and context.facts.in_recovery
    if not standby or failure.kind is not FailureKind.STARTING_UP or availability.down_since is None:
        return False
    return (context.now - availability.down_since).total_seconds() < params.starting_s


def _finding(
    availability: Availability, failure: Failure, params: TargetDownParams, context: Context
) -> Finding:
    pooler = context.kind is TargetKind.PGBOUNCER
    words = (_POOLER_WORDS if pooler else {}).get(failure.kind) or _WORDS[failure.kind]
    return Finding(
        rule=RULE.name,
        target=context.target,
        database=None,
        subject="server",
        level=params.level,
        summary=f"No query is answered: {words.short}",
        evidence=Evidence(
            impact=_POOLER_IMPACT if pooler else _IMPACT,
            figures=_figures(availability, failure, context),
            cause=words.cause,
        ),
        steps=words.steps,
        explains=frozenset({target_key(context.target)}),
    )


_IMPACT = (
    "pgvigil can learn nothing about this server; its other incidents are unknown until it"
    " answers. Whether applications are affected depends on the cause."
)
_POOLER_IMPACT = (
    "pgvigil can learn nothing about this PgBouncer; its other incidents are unknown until it answers. Applications"
    " reach the databases behind it only through it: if it is gone for them as well, they have no connection."
)


def _figures(availability: Availability, failure: Failure, context: Context) -> tuple[Figure, ...]:
    since = availability.down_since
    return (
        Figure("Class", failure.kind.value),
        Figure("Error", one_line(failure.message, 300)),
        *(
            ()
            if since is None
            else (
                Figure("Down since", f"{since:%Y-%m-%d %H:%M:%SZ}"),
                Figure("For", format_duration((context.now - since).total_seconds())),
            )
        ),
        Figure("Attempts", counted(availability.attempts, "failure") + " in a row"),
    )


class _Words:
    """How one class of failure is said, and what to check, from the nearest to the farthest."""

    def __init__(self, short: str, cause: str, *checks: str) -> None:
        self.short = short
        self.cause = cause
        self.steps = tuple(map(Step, checks))


_WORDS = {
    FailureKind.REFUSED: _Words(
        "connection refused",
        "The host answers and nothing listens on the port: the server is stopped, or listens elsewhere.",
        "Is the server's process running? systemctl status postgresql, pg_lsclusters, the container's state.",
        "Read the end of the server's log: an out-of-memory kill, a full disk and a crash all say so there.",
        "Compare listen_addresses and port with the DSN; look for a firewall that rejects.",
    ),
    FailureKind.DNS: _Words(
        "the host name cannot be resolved",
        "The name is wrong or gone, or the resolver of pgvigil's host does not answer.",
        "Resolve the name on pgvigil's host: getent hosts NAME.",
        "If other names fail as well, the resolver is the fault, and the server may be well.",
    ),
    FailureKind.TLS: _Words(
        "TLS negotiation failed",
        "An expired or replaced certificate, a changed sslmode, or a server without TLS.",
        "Look at the certificate: openssl s_client -starttls postgres -connect HOST:PORT.",
        "Compare sslmode and sslrootcert of the DSN with the server's ssl settings and hostssl lines.",
    ),
    FailureKind.AUTHENTICATION: _Words(
        "authentication failed",
        "The role's password is missing, was changed or has expired, or pg_hba.conf no longer admits pgvigil's host."
        " The server itself is up.",
        "Try the DSN by hand from pgvigil's host with psql.",
        "Check VALID UNTIL and LOGIN of the role, and the pg_hba.conf line that it should match.",
        "If no password was supplied, or it was rotated, mend the password file or command that pgvigil reads.",
    ),
    FailureKind.SILENT: _Words(
        "connected or connecting, and no answer within the deadline",
        "Packets are dropped (firewall, host gone), or the server's processes are stopped or starved.",
        "Does the host answer at all (ping, ssh)? If not: the host, its network or a firewall.",
        "If it does: load, memory pressure, stalled storage (dmesg, iostat), processes in state T or D.",
        "Fail over only after making sure that the old primary cannot come back by itself.",
    ),
    FailureKind.STARTING_UP: _Words(
        "the server is starting up",
        "It was restarted, or recovers after a crash: it replays WAL before it accepts queries.",
        "Follow the server's log: it says why it stopped and how far recovery has come.",
        "Recovery takes as long as the WAL since the last checkpoint; restarting it starts again.",
    ),
    FailureKind.SHUTTING_DOWN: _Words(
        "the server is shutting down",
        "Somebody stops or restarts it, or it goes down after a fatal error.",
        "Ask who is doing it; read the server's log for the request.",
        "A shutdown that does not end waits for sessions (smart) or for a last checkpoint on slow storage.",
    ),
    FailureKind.NO_DATABASE: _Words(
        "the database of the DSN does not exist or admits nobody",
        "It was dropped or renamed, or does not allow connections. The server itself is up.",
        "List the databases from another one: psql -l. Restore it, or correct dbname in the DSN.",
    ),
    FailureKind.LOST: _Words(
        "the connection broke in the middle of a query",
        "The server's process was ended or crashed, or something between cut the connection.",
        "Read the server's log for a crash of a backend (signal 9 or 11) or an administrator's command.",
        "If the log is silent, look at the network, proxies and idle time-outs between the two hosts.",
    ),
    FailureKind.PROTOCOL: _Words(
        "what answers does not speak PostgreSQL's protocol",
        "Another program listens on that port, or something between changes what is sent: a proxy, a load"
        " balancer's own error page, faulty hardware.",
        "Connect by hand from pgvigil's host: psql, or curl to see whether it is a web server.",
        "Compare host and port of the DSN with where the server listens.",
        "If only some connections fail, go around the proxy or load balancer and see whether it helps.",
    ),
}

_POOLER_WORDS = {
    FailureKind.REFUSED: _Words(
        "connection refused",
        "The host answers and nothing listens on the port: PgBouncer is stopped, is shutting down and waits for its"
        " clients to leave, or listens elsewhere.",
        "Is the process running? systemctl status pgbouncer, the container's state.",
        "Read the end of its log: the reason of an exit, and of a refused configuration, stands there.",
        "Compare listen_addr and listen_port with the DSN; look for a firewall that rejects.",
    ),
    FailureKind.AUTHENTICATION: _Words(
        "authentication failed",
        "The user is not in PgBouncer's auth_file, its password is another one, or it is in neither stats_users nor"
        " admin_users. PgBouncer itself is up.",
        "Try the DSN by hand from pgvigil's host: psql, then SHOW VERSION.",
        "Compare auth_file, auth_hba_file and stats_users in pgbouncer.ini; RELOAD takes them over.",
    ),
    FailureKind.SILENT: _Words(
        "connected or connecting, and no answer within the deadline",
        "Packets are dropped (firewall, host gone), or the one process of PgBouncer is stopped or busy: it serves all"
        " clients on one core.",
        "Does the host answer at all (ping, ssh)? If not: the host, its network or a firewall.",
        "If it does: is the process in state T or D, or at 100 % of a core (top)? Then clients wait as well.",
        "A process at 100 % serves no more: start a second one beside it with so_reuseport.",
    ),
    FailureKind.PROTOCOL: _Words(
        "what answers is not the admin console of a PgBouncer",
        "Another program listens on that port, or the DSN leads to a PostgreSQL server.",
        "Connect by hand from pgvigil's host: psql -d pgbouncer, then SHOW VERSION.",
        "Compare host and port of the DSN with listen_addr and listen_port; a server is a target of kind postgres.",
    ),
    FailureKind.NO_DATABASE: _Words(
        "there is no admin console",
        "A PostgreSQL server answers at that address instead of a PgBouncer.",
        "Compare host and port of the DSN with listen_addr and listen_port; a server is a target of kind postgres.",
    ),
}


RULE = Rule(
    name="target_down",
    watches=("availability",),
    params=TargetDownParams,
    evaluate=evaluate,
    suppresses_target=True,
    absorbs=frozenset(
        {"standby_disconnected", "replica_missing"}
    ),  # of the servers that stream from or to it
    linger=True,
    doc=RuleDoc(
        meaning="No query can be answered: the server cannot be reached, does not let pgvigil in, or is silent."
        " What its standbys, or its primary, say of the lost stream is part of it."
        " While it fires, everything else about the target is unknown and nobody is told about it. A server"
        " that is merely out of connection slots is connection_saturation, not down.",
        magnitude="",
        why_these_defaults="30 seconds pass over a quick restart and a dropped packet, and are at least two"
        " failed attempts. It resolves as soon as a real query is answered, without delay, because an answer"
        " leaves no doubt. A standby that was restarted replays all the log since its last restartpoint before it answers,"
        " and restartpoints are up to checkpoint_timeout (5 minutes) apart: three minutes pass over that. A primary that"
        " starts up is told after 30 seconds, because after a clean stop it takes less.",
        evidence="The class of the failure (refused, DNS, TLS, authentication, silent, starting up, shutting"
        " down, no database, lost, protocol), the error without secrets, since when, and how many attempts failed.",
        what_to_do="The steps in the message fit the class: refused means look at the process, silent means look"
        " at the host and network, authentication means the server lives and the role does not get in.",
        how_to_look="""\
-- from the machine that runs pgvigil, with the target's own connection string:
-- pg_isready -d "host=db1 dbname=postgres"
SELECT pg_postmaster_start_time(), pg_is_in_recovery()""",
    ),
)
