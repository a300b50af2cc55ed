"""One evaluation: what readings make of the incidents of a target, as a draft. No clock, no store, no lock."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerts import acknowledging
from alerts.book import Book, Draft
from alerts.bound import BoundRule
from alerts.company import Company, HeardBy, Kinship, all_alike, companies, led
from alerts.correlate import Explainers, Family
from alerts.course import grown
from alerts.lifecycle import gone, step
from alerts.markers import Near, nothing_near
from alerts.marks import attend, silence, suppress, unsuppress
from alerts.notes import Notes
from alerts.noticed import NearOfRule, nothing_noticed
from alerts.relations import NO_RELATIONS, Relations
from alerts.timers import Policy
from alerts.tracked import Absent, Labels, NotCovered, Observation, Outcome, Seen, Tracked
from pgvigil.model import action
from pgvigil.model.finding import Finding, Judgement
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.model.moment import Moment
from pgvigil.model.silence import Silence

UNJUDGED = "the last reading could not judge it"
AFTERMATH_S = 120.0  # a standby tries every five seconds, and its state is read every fifteen
_FOR_GOOD = Policy(for_s=0.0, keep_firing_for_s=0.0)  # of an incident whose rule is no longer there


Silenced = Callable[[Incident, datetime], Silence | None]


def no_silence(_incident: Incident, _now: datetime) -> Silence | None:
    """Nobody has silenced anything."""
    return None


class Evaluation:
    """Reads and changes a draft of `book`.

    What absorbs is judged before what is absorbed, so that a chain that fires now takes its sessions along.
    An absorbed finding becomes a note of the incident that explains it: without an incident of its own it
    opens none, a pending one is dropped (it has not fired: nobody heard of it), and one that fires goes on
    as its child, which nobody is disturbed for.
    While a rule that suppresses the target fires, findings of other rules open nothing and pending ones
    stand still: they are about a server that nobody can look into.
    What an incident of another target explains opens all the same, as its child: it stays one while that lasts and for
    AFTERMATH_S after it, because a standby is back a little later than its primary.
    Of those that nothing explains and that began together the worst leads the others, which are its children.
    """

    def __init__(
        self,
        book: Book,
        *,
        rules: Mapping[str, BoundRule],
        family: Family,
        target: str,
        labels: Labels,
        moment: Moment,
        elsewhere: Sequence[Incident] = (),
        silenced: Silenced = no_silence,
        near: Near = nothing_near,
        noticed: NearOfRule = nothing_noticed,
        heard_by: HeardBy = all_alike,
        relations: Relations = NO_RELATIONS,
    ) -> None:
        self._silenced = silenced
        self._kin = Kinship(rules, relations, heard_by).of
        self._relations = relations
        self._near = near
        self._noticed = noticed
        self._expects_others = False
        self.draft = Draft(book)
        since = moment.utc - timedelta(seconds=AFTERMATH_S)
        lasting = [one for one in elsewhere if one.resolved_at is None or one.resolved_at >= since]
        self._elsewhere = {one.id: one for one in lasting}
        self._rules = rules
        self._family = family
        self._target = target
        self._labels = labels
        self._moment = moment

    # --- what happens -----------------------------------------------------------------------------------

    def observe(self, judgements: Mapping[str, Judgement]) -> None:
        """The answers of some rules to one reading."""
        # A rule may have been switched off while it was judging.
        for rule in sorted(judgements.keys() & self._rules.keys(), key=self._family.rank.__getitem__):
            judgement = judgements[rule]
            findings = distinct(rule, self._target, judgement.findings)
            if findings:
                self._found(rule, findings.values())
            self._not_found(rule, judgement, findings)

    def not_covered(self, rules: Iterable[str], inside: Callable[[Incident], bool], reason: str) -> None:
        """Nobody could look: what those rules said of `inside` is not known any more."""
        names = frozenset(rules)
        for tracked in self.draft.book.open():
            if tracked.incident.rule in names and inside(tracked.incident):
                self._step(tracked.incident.fingerprint, NotCovered(reason))

    def gone(self, concerned: Callable[[Incident], bool], reason: str) -> None:
        """The object, its database, its rule or the target is no more."""
        for tracked in self.draft.book.open():
            if concerned(tracked.incident):
                self.draft.put(gone(tracked, reason, self._moment))

    def act(self, asked: action.Action) -> action.Outcome | None:
        """What somebody does to one incident; None when it is not in the book. Only what changes it is written."""
        tracked = self.draft.book.numbered(asked.incident_id)
        if tracked is None:
            return None
        made, outcome = acknowledging.act(tracked, asked, self._moment)
        self.draft.put(made)
        if made.transition is not None:
            self.draft.actions.append(asked)
        return outcome

    def keep_to_rules(self, ends: str) -> None:
        """Incidents of rules that are not there are over, because `ends`; the others have the labels of today."""
        self.gone(lambda incident: incident.rule not in self._rules, ends)
        for tracked in self.draft.book.open():
            if tracked.incident.labels != self._labels:
                labelled = replace(tracked.incident, labels=self._labels)
                self.draft.put(Outcome(replace(tracked, incident=labelled)))

    def expect_others(self) -> None:
        """Not all targets have said yet what they say: whose parent nobody knows stays its child for now."""
        self._expects_others = True

    def settle(self) -> None:
        """Give every open incident the marks that follow from the others: who is whose child."""
        down = self._down()
        by_id = self._by_id()
        for tracked in self.draft.book.fired():
            if tracked.incident.rule in self._family.over_all:
                continue
            if down is None:
                self._lift(tracked, by_id)
            elif tracked.incident.parent_id != down.id:
                self._step(tracked.incident.fingerprint, NotCovered(_down_reason(down)))
                self._mark(tracked.incident.fingerprint, down)
        explainers = self._explainers()
        for tracked in self.draft.book.fired():
            self._adopt(tracked, explainers, by_id)
        for tracked in self.draft.book.fired():
            by = self._silenced(tracked.incident, self._moment.utc)
            self.draft.put(silence(tracked, by, self._moment))
        self._inhibit()  # what is silenced keeps nothing quiet, and leads nobody
        self._keep_company()
        for tracked in self.draft.book.fired():
            self.draft.put(attend(tracked, self._moment))

    # --- findings ---------------------------------------------------------------------------------------

    def _found(self, rule: str, findings: Iterable[Finding]) -> None:
        down = None if rule in self._family.over_all else self._down()
        explainers = self._explainers()
        for finding in findings:
            parent = explainers.of_finding(finding)
            if down is not None:
                self._found_while_down(finding, down)
            elif parent is None:
                self._stands(finding)
            elif parent.id in self._elsewhere:
                self._see(finding)
                self._mark(finding.fingerprint, parent)
            else:
                self._absorb(finding, parent)

    def _stands(self, finding: Finding) -> None:
        key = finding.fingerprint
        self._see(finding)
        tracked = self.draft.get(key)
        if tracked is None or tracked.incident.parent_id is None:
            return
        incident, by_id = tracked.incident, self._by_id()
        of = tracked.incident.parent_id
        if of in self._elsewhere and self._stays(incident, self._elsewhere[of]):
            return
        inhibited = self._relations.holds(self._elsewhere.get(of) or by_id.get(of), incident)
        if not inhibited and not led(incident, by_id, self._kin):
            self._free(tracked)

    def _stays(self, incident: Incident, parent: Incident) -> bool:
        """Whether that of another target keeps its child: a while after its end, and where only a rule could tell why."""
        return not parent.open or incident.rule in self._family.absorbs.get(parent.rule, ())

    def _absorb(self, finding: Finding, parent: Incident) -> None:
        key = finding.fingerprint
        tracked = self.draft.get(key)
        child = tracked.incident if tracked is not None and _fires(tracked) else None
        if finding.level > Level.HOLD:
            notes = self.draft.notes(parent.fingerprint).adding(finding, child)
            self.draft.set_notes(parent.fingerprint, notes, self._moment)
        if child is not None:
            self._see(finding)
            self._mark(key, parent)
        elif tracked is not None and tracked.incident.open:
            self.draft.put(gone(tracked, f"explained by {parent.rule}", self._moment))

    def _found_while_down(self, finding: Finding, down: Incident) -> None:
        tracked = self.draft.get(finding.fingerprint)
        if tracked is None or not tracked.incident.open:
            return
        if _fires(tracked):
            self._see(finding)
            self._mark(finding.fingerprint, down)
        else:
            self._step(finding.fingerprint, NotCovered(_down_reason(down)))

    def _see(self, finding: Finding) -> None:
        """Step with the finding, its notes joined by what the incident absorbed."""
        key = finding.fingerprint
        tracked = self.draft.get(key)
        lasting = None if tracked is None or not tracked.incident.open else tracked.incident
        known = Notes() if lasting is None else self.draft.notes(key)
        notes = known.with_own(finding.evidence.notes)
        since = self._moment.utc if lasting is None else lasting.pending_since
        course = grown(() if lasting is None else lasting.evidence.course, self._moment.utc, finding.value)
        cause = self._cause(finding, since)
        evidence = replace(finding.evidence, notes=notes.shown, cause=cause, course=course)
        shown = replace(finding, evidence=evidence)
        self._step(key, Seen(shown))
        after = self.draft.get(key)
        if after is not None and after.incident.open:
            self.draft.book.notes[key] = notes

    def _cause(self, finding: Finding, since: datetime) -> str:
        """What was done shortly before comes first: it is what people ask, and a long cause is cut at its end."""
        described = {**dict(self._labels), "target": self._target, "database": finding.database or ""}
        near = (self._near(described, since), self._noticed(finding.rule, since))
        return " ".join(filter(None, (*near, finding.evidence.cause)))

    def _not_found(self, rule: str, judgement: Judgement, findings: Mapping[str, Finding]) -> None:
        scope = judgement.scope
        for tracked in self.draft.book.open():
            incident = tracked.incident
            if incident.rule != rule or incident.fingerprint in findings:
                continue
            if scope.covers(incident.database, incident.subject):
                self._step(incident.fingerprint, Absent())
            elif scope.blind_to(incident.database, incident.subject):
                self._step(incident.fingerprint, NotCovered(scope.reason or UNJUDGED))

    # --- marks ------------------------------------------------------------------------------------------

    def _lift(self, tracked: Tracked, by_id: Mapping[int, Incident]) -> None:
        """Free what is marked by an incident whose word no longer holds by itself.

        A child of a chain waits for its own next reading: freeing it at once would announce what is most
        likely just about to be over. Under a target that was down it is free as soon as that answers.
        """
        if tracked.incident.parent_id is None or tracked.incident.parent_id in self._elsewhere:
            return
        parent = by_id.get(tracked.incident.parent_id)
        if parent is None and self._expects_others:
            return
        if parent is None or parent.rule in self._family.over_all:
            self._free(tracked)

    def _adopt(self, tracked: Tracked, explainers: Explainers, by_id: Mapping[int, Incident]) -> None:
        """An incident that was there before the one that explains it becomes its child; company explains nothing."""
        incident = tracked.incident
        parent = explainers.of_incident(incident) if led(incident, by_id, self._kin) else None
        if parent is None:
            return
        if parent.id not in self._elsewhere:
            notes = self.draft.notes(parent.fingerprint).adding_child(incident)
            self.draft.set_notes(parent.fingerprint, notes, self._moment)
        self._mark(incident.fingerprint, parent)

    # --- company ----------------------------------------------------------------------------------------

    def _inhibit(self) -> None:
        if not self._relations.inhibitions:
            return
        for tracked in self.draft.book.fired():
            if tracked.incident.parent_id is not None or tracked.incident.rule in self._family.over_all:
                continue
            sources = (*self.draft.book.incidents(), *self._elsewhere.values())
            source = self._relations.inhibitor(tracked.incident, sources)
            if source is not None:
                self._mark(tracked.incident.fingerprint, source)

    def _keep_company(self) -> None:
        fired = [tracked.incident for tracked in self.draft.book.fired()]
        for company in companies(fired, self._by_id(), self._kin, self._moment.utc):
            leader = self.draft.get(company.leader.fingerprint)
            if leader is not None and leader.incident.parent_id is not None:
                self._free(leader)
            self._lead(company)

    def _lead(self, company: Company) -> None:
        key = company.leader.fingerprint
        notes = self.draft.notes(key)
        if company.followers:
            notes = notes.line(company.kind.name, company.words)
        for follower in company.followers:
            notes = notes.adding_child(follower)
            if follower.parent_id != company.leader.id:
                self._mark(follower.fingerprint, company.leader)
        self.draft.set_notes(key, notes, self._moment)

    def _by_id(self) -> Mapping[int, Incident]:
        return {incident.id: incident for incident in self.draft.book.incidents()}

    def _mark(self, key: str, parent: Incident) -> None:
        tracked = self.draft.get(key)
        if tracked is None or not _fires(tracked):
            return
        if parent.id == 0:
            self.draft.deferred.add(key)
        else:
            self.draft.put(suppress(tracked, parent, self._moment))

    def _free(self, tracked: Tracked) -> None:
        if tracked.incident.open:
            self.draft.put(unsuppress(tracked, self._moment))

    def _down(self) -> Incident | None:
        """The incident that says that the whole target cannot be looked into, while it fires."""
        return next(
            (
                incident
                for incident in self.draft.book.incidents()
                if incident.rule in self._family.over_all and incident.state is State.FIRING
            ),
            None,
        )

    # --- the parts --------------------------------------------------------------------------------------

    def _explainers(self) -> Explainers:
        over_all = (one for one in self._elsewhere.values() if one.rule in self._family.over_all)
        return Explainers(self._family, self.draft.book.incidents(), over_all)

    def _step(self, key: str, observation: Observation) -> None:
        tracked = self.draft.get(key)
        rule = observation.finding.rule if isinstance(observation, Seen) else _rule_of(tracked)
        bound = self._rules.get(rule)
        policy = _FOR_GOOD if bound is None else bound.policy
        self.draft.put(step(tracked, observation, policy, self._moment, self._labels))


def distinct(rule: str, target: str, findings: Iterable[Finding]) -> dict[str, Finding]:
    """By fingerprint, under the name that the rule has here; of two about one subject the worse."""
    kept: dict[str, Finding] = {}
    for raw in findings:
        finding = replace(raw, rule=rule, target=target)
        other = kept.get(finding.fingerprint)
        if other is None or finding.level > other.level:
            kept[finding.fingerprint] = finding
    return kept


def _rule_of(tracked: Tracked | None) -> str:
    return "" if tracked is None else tracked.incident.rule


def _fires(tracked: Tracked) -> bool:
    return tracked.incident.state in (State.FIRING, State.UNKNOWN)


def _down_reason(down: Incident) -> str:
    return f"the target is down: {down.summary}"
