"""What the rules make of one look at a target. `for` does not count: there is one look and no history."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from alerts.bound import BoundRule
from alerts.correlate import explanations, family
from alerts.evaluation import distinct
from alerts.grading import counted
from daemon.checking.look import Look, Taken
from daemon.checking.result import Checked, Dead, NotCovered
from daemon.judging import RULE_FAILED, judged
from daemon.names import Names
from daemon.statements import Statements
from pgvigil import registry
from pgvigil.model.finding import Finding, Scope
from pgvigil.model.kind import TargetKind
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.model.snapshot import Delta
from pgvigil.plugins import Context, Peer

_NAMED = 3  # subjects that could not be judged and are named
_UNJUDGED = "could not be judged"


class Judging:
    """Of one look. `judge` may be asked again when more names and texts are known."""

    def __init__(
        self,
        target: str,
        rules: Mapping[str, BoundRule],
        look: Look,
        names: Names,
        statements: Statements,
        *,
        disk_size_bytes: float | None = None,
        kind: TargetKind = TargetKind.POSTGRES,
    ) -> None:
        self._disk_size_bytes = disk_size_bytes
        self._kind = kind
        self.name = target
        self.look = look
        self._peers: Sequence[Peer] = ()
        self._rules = rules
        self._names = names
        self._statements = statements
        self._failed: set[str] = set()

    def judge(self, moment: Moment, peers: Sequence[Peer] = ()) -> Checked:
        """`peers` are the other targets of the pass that are the same cluster."""
        self._peers = peers
        found: dict[str, Finding] = {}
        doubts: dict[NotCovered, None] = {}
        for (database, feed), taken in self.look.taken.items():
            for name, bound in self._rules.items():
                if feed is not None and feed in bound.rule.watches:
                    findings, doubt = self._ask(name, bound, database, feed, taken, moment)
                    _merge(found, findings)
                    doubts |= dict.fromkeys(doubt)
        return self._checked(found, (*self.look.not_covered.values(), *doubts), moment)

    def dead(self, moment: Moment, peers: Sequence[Peer] = ()) -> tuple[Dead, ...]:
        """The rules that nothing can make fire at this target now, by name."""
        self._peers = peers
        found = (self._dead(name, bound, moment) for name, bound in self._rules.items())
        return tuple(one for one in found if one is not None)

    def _dead(self, name: str, bound: BoundRule, moment: Moment) -> Dead | None:
        """It lives where one of its readings can make it fire. Of what pgvigil judges of itself nothing is read."""
        feeds = {*bound.rule.watches} & registry.collectors().keys()
        if len(feeds) < len(bound.rule.watches):
            return None
        reasons: list[str] = []
        for (database, feed), taken in self.look.taken.items():
            if feed in feeds:
                why = bound.rule.dormant(taken.reading.rows, self._context(database, taken, moment))
                if why is None:
                    return None
                reasons.append(why)
        return Dead(rule=name, reason=reasons[0]) if reasons else self._unread(name, feeds)

    def _unread(self, name: str, feeds: Collection[str]) -> Dead:
        left_out = self.look.not_covered.values()
        of_feeds = [one for one in left_out if one.collector in feeds]
        for one in (*of_feeds, *(one for one in left_out if one.collector is None)):
            return Dead(rule=name, reason=f"{', '.join(sorted(feeds))}: {one.reason}", chosen=one.chosen)
        return Dead(rule=name, reason="no database is watched")

    def _ask(
        self, name: str, bound: BoundRule, database: str | None, feed: str, taken: Taken, moment: Moment
    ) -> tuple[Mapping[str, Finding], list[NotCovered]]:
        """The findings of one rule in one reading, and what it says that it could not tell."""
        judgement = None
        if name not in self._failed:
            judgement = judged(bound, taken.reading, self._context(database, taken, moment))
        if judgement is None:
            self._failed.add(name)
            reasons, chosen = [RULE_FAILED], False
        else:
            reasons, chosen = list(_unjudged(taken, judgement.scope)), judgement.scope.not_offered
        found = {} if judgement is None else distinct(name, self.name, judgement.findings)
        doubt = [
            NotCovered(database=database, collector=feed, rule=name, reason=reason, chosen=chosen)
            for reason in reasons
        ]
        return found, doubt

    def _context(self, database: str | None, taken: Taken, moment: Moment) -> Context:
        return Context(
            target=self.name,
            now=moment.utc,
            previous=taken.previous,
            facts=taken.facts,
            text=self._statements.text,
            relation=self._names,
            database_names=self.look.database_names,
            history=partial(self.look.memory.points, taken.reading.collector, database),
            changes=self.look.memory.changes(taken.reading.collector, database),
            disk_size_bytes=self._disk_size_bytes,
            kind=self._kind,
            peers=self._peers,
        )

    def _checked(
        self, found: Mapping[str, Finding], not_covered: tuple[NotCovered, ...], moment: Moment
    ) -> Checked:
        seen = [finding for finding in found.values() if finding.level > Level.HOLD]
        over_all = [finding for finding in seen if self._rules[finding.rule].rule.suppresses_target]
        lost = (None, None) in self.look.not_covered  # which says it of everything
        related = family({name: bound.rule for name, bound in self._rules.items()})
        explained_by = explanations(related, over_all or seen, moment)
        return Checked(
            name=self.name,
            up=self.look.up,
            findings=tuple(_in_order(over_all or seen, explained_by)),
            explained_by=explained_by,
            not_covered=tuple(each for each in not_covered if not lost or each.collector is None),
            problems=self.look.diagnosis.blinding,
        )


def _merge(found: dict[str, Finding], more: Mapping[str, Finding]) -> None:
    """Of two about one subject the worse: a rule can see the same trouble in two feeds."""
    for key, finding in more.items():
        if key not in found or finding.level > found[key].level:
            found[key] = finding


def _unjudged(taken: Taken, scope: Scope) -> Iterator[str]:
    """Why the rule's silence is no all-clear. Another database than the reading's is no business of its."""
    if isinstance(taken.reading, Delta) and taken.reading.unknown is not None:
        yield taken.reading.unknown
    elif scope.databases is not None and not scope.databases:
        if scope.reason:
            yield scope.reason
    elif scope.only is not None:
        yield scope.reason or _UNJUDGED
    elif scope.not_covered:
        names = sorted(scope.not_covered)
        shown = ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")
        yield f"{counted(len(names), 'subject')} ({shown}): {scope.reason or _UNJUDGED}"


def _in_order(findings: Iterable[Finding], explained_by: Mapping[str, Finding]) -> Iterator[Finding]:
    """The worst first, what a finding explains right after it."""
    below: dict[str | None, list[Finding]] = {}
    for finding in findings:
        above = explained_by.get(finding.fingerprint)
        below.setdefault(None if above is None else above.fingerprint, []).append(finding)

    def worst(finding: Finding) -> Level:
        return max([finding.level, *map(worst, below.get(finding.fingerprint, ()))])

    def walk(key: str | None) -> Iterator[Finding]:
        rows = below.get(key, [])
        for finding in sorted(rows, key=lambda row: (-worst(row), row.rule, -(row.value or 0), row.subject)):
            yield finding
            yield from walk(finding.fingerprint)

    return walk(None)
