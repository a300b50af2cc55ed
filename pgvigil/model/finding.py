"""What a rule sees now, without any history."""

from dataclasses import dataclass, field
from datetime import datetime

from pgvigil.model.evidence import Evidence, Step
from pgvigil.model.level import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Identified by rule + target + database + subject, never by a measured value.

    `subject` is the thing itself, stable over polls: `session 8123@2026-11-22T20:11:03.123456Z`,
    `statement 16384/10/-123`, `constraint public.orders.orders_customer_fk`.
    `about` names the entities that the finding concerns and `explains` those whose trouble it accounts for
    (keys made by the functions below: sessions, statements, whole targets). A finding about an entity that an open
    incident explains is evidence of that incident, if the incident's rule absorbs the finding's rule.
    `measured_from` is when the measured interval began: a statement's figures may reach back in time.
    """

    rule: str
    target: str
    database: str | None
    subject: str
    level: Level
    summary: str  # one line, no newline: "23 sessions blocked 4m12s by pid 8123 (idle in transaction)"
    value: float | None = None  # the rule's magnitude, in its unit
    evidence: Evidence = field(default_factory=Evidence)
    steps: tuple[Step, ...] = ()
    about: frozenset[str] = frozenset()
    explains: frozenset[str] = frozenset()
    measured_from: datetime | None = None

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.rule, self.target, self.database, self.subject)


def fingerprint(rule: str, target: str, database: str | None, subject: str) -> str:
    """The identity of a finding and of its incident. Unit separators cannot occur in any part."""
    return "\x1f".join((rule, target, database if database is not None else "\x1e", subject))


def session_key(pid: int, backend_start: datetime) -> str:
    """A session: a pid alone is reused."""
    return f"session {pid}@{backend_start.isoformat()}"


def is_session_key(key: str) -> bool:
    return key.startswith("session ")


def target_key(name: str) -> str:
    """A target as a whole, by its name: what is said of it concerns others that depend on it."""
    return f"target {name}"


def query_key(queryid: int) -> str:
    """A statement by its queryid, whoever runs it."""
    return f"query {queryid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a rule looked. Inside it, no finding means recovered; outside it the rule could not tell.

    `databases` None means every database and the server itself. `not_covered` names subjects inside the
    scope that could not be judged this time, and `only` (where given) the only subjects that could: what
    they leave out becomes unknown. A reading of some databases says nothing about the others, good or bad.
    No database at all (NOTHING) is an answer that changes nothing; with a `reason` it says that the rule
    could not judge, and all its incidents become unknown.
    """

    databases: frozenset[str] | None = None
    not_covered: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    reason: str = ""  # why the rest is not covered
    not_offered: bool = False  # nobody can mend that at this server: no doubt about the rest

    def covers(self, database: str | None, subject: str) -> bool:
        if self.databases is not None and database not in self.databases:
            return False
        if self.only is not None and subject not in self.only:
            return False
        return subject not in self.not_covered

    def blind_to(self, database: str | None, subject: str) -> bool:
        """Whether it says of this subject that it could not be judged."""
        if not self.databases and self.databases is not None:
            return bool(self.reason)
        here = self.databases is None or database in self.databases
        return here and not self.covers(database, subject)


NOTHING = Scope(databases=frozenset())


@dataclass(frozen=True, slots=True)
class Judgement:
    """A rule's whole answer: what it found and where it looked."""

    findings: tuple[Finding, ...]
    scope: Scope
