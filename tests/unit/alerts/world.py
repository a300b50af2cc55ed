"""One target, its engine and a real store: what rules say goes in, what was written comes out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alerts.bound import BoundRule
from alerts.elsewhere import Elsewhere
from alerts.engine import EVERYWHERE, Engine, Everywhere
from alerts.evaluation import Silenced, no_silence
from alerts.markers import Near, nothing_near
from alerts.noticed import NearOfRule, nothing_noticed
from alerts.relations import Relations
from alerts.routes import Route, recipients
from pgvigil.model.action import Action
from pgvigil.model.delivery import Want
from pgvigil.model.finding import NOTHING, Finding, Judgement, Scope
from pgvigil.model.incident import Incident, Transition
from pgvigil.plugins import Rule, RuleDoc, RuleParams
from pgvigil.store import Store, StoreError
from tests.unit.alerts.acting import TARGET, Clock

DOC = RuleDoc(meaning="", magnitude="", why_these_defaults="", evidence="", what_to_do="")


def rule(name: str, for_s: float = 0, keep_firing_for_s: float = 0, **more: Any) -> BoundRule:
    """A rule of which only the relations and the patience matter."""
    shape: Any = Rule(
        name=name,
        watches=("anything",),
        params=RuleParams,
        evaluate=lambda _reading, _params, _context: Judgement((), NOTHING),
        doc=DOC,
        **{key: frozenset(value) if key == "absorbs" else value for key, value in more.items()},
    )
    return BoundRule(
        shape, RuleParams.model_validate({"for": f"{for_s}s", "keep_firing_for": f"{keep_firing_for_s}s"})
    )


RULES = {
    bound.name: bound
    for bound in (
        rule("target_down", for_s=30, absorbs=["standby_disconnected"], linger=True, suppresses_target=True),
        rule("standby_disconnected"),
        rule(
            "blocking_chain", keep_firing_for_s=60, absorbs=["idle_in_transaction", "slow_query"], linger=True
        ),
        rule("idle_in_transaction", absorbs=["long_transaction"]),
        rule("long_transaction"),
        rule("slow_query", for_s=120, keep_firing_for_s=300),
        rule("constraint_not_valid", for_s=3600),
    )
}


class FailingStore:
    """The store, which can be told that its disk is full."""

    def __init__(self, store: Store) -> None:
        self._incidents = store.incidents
        self.fails_after: int | None = None  # commits that still succeed; None is all
        self.commits = 0

    def commit(
        self, transitions: Sequence[Transition], wants: Sequence[Want], done: Sequence[Action] = ()
    ) -> list[Incident]:
        if self.fails_after == 0:
            raise StoreError("disk full")
        if self.fails_after is not None:
            self.fails_after -= 1
        self.commits += 1
        return self._incidents.commit(transitions, wants, done)

    def announce(self, incidents: Sequence[Incident], wants: Sequence[Want]) -> int:
        if self.fails_after == 0:
            raise StoreError("disk full")
        return self._incidents.announce(incidents, wants)

    def open(self, target: str) -> list[Incident]:
        return self._incidents.open(target)

    def recent(self, target: str, since: Any) -> list[Incident]:
        return self._incidents.recent(target, since)


class World:
    def __init__(self, store: Store, target: str = TARGET) -> None:
        self.target = target
        self.clock = Clock()
        self.store = store
        self.disk = FailingStore(store)
        self.rules = dict(RULES)
        self.routes = [Route(sinks=("all",), mention="<!here>")]
        self.written: list[Transition] = []
        self.elsewhere = Elsewhere()
        self.silenced: Silenced = no_silence
        self.near: Near = nothing_near
        self.noticed: NearOfRule = nothing_noticed
        self.relations = Relations()
        self.restart(0)

    def restart(self, away_s: float) -> None:
        """Another process opens the same store."""
        moment = self.clock.after(away_s)
        self.clock.mono_s = 50.0 + away_s  # its monotonic clock has nothing to do with the old one
        self.engine = Engine(
            self.target,
            {"env": "prod"},
            self.rules,
            self.disk,
            lambda incident: recipients(incident, self.routes),
            self._on_commit,
            self.elsewhere,
            self.silenced,
            near=self.near,
            noticed=self.noticed,
            relations=lambda: self.relations,
        )
        self.engine.load(self.clock.now)
        assert moment.utc == self.clock.utc

    def _on_commit(self, transitions: Sequence[Transition]) -> None:
        self.written.extend(transitions)

    # --- what happens -----------------------------------------------------------------------------------

    def read(self, after_s: float, rule: str, *findings: Finding, scope: Scope | None = None) -> list[str]:
        """One rule's answer to a reading; what was written because of it, as "rule kind"."""
        return self.read_all(after_s, {rule: findings}, scope)

    def read_all(
        self, after_s: float, found: Mapping[str, Iterable[Finding]], scope: Scope | None = None
    ) -> list[str]:
        """The answers of several rules to the same reading."""
        readings = [(name, Judgement(tuple(some), scope or Scope())) for name, some in found.items()]
        seen = len(self.written)
        self.engine.observe("anything", readings, self.clock.after(after_s))
        return self._since(seen)

    def lose(
        self, after_s: float, *rules: str, database: str | Everywhere | None = EVERYWHERE, why: str = "silent"
    ) -> list[str]:
        seen = len(self.written)
        self.engine.not_covered(rules or self.rules, database, why, self.clock.after(after_s))
        return self._since(seen)

    def _since(self, seen: int) -> list[str]:
        return [f"{one.after.rule} {one.kind}" for one in self.written[seen:]]

    # --- what there is ----------------------------------------------------------------------------------

    def incident(self, rule: str) -> Incident:
        """The only open incident of the rule."""
        [found] = [one for one in self.engine.open() if one.rule == rule]
        return found

    def open(self) -> list[str]:
        return [one.rule for one in self.engine.open()]

    def kinds(self, rule: str) -> list[str]:
        return [one.kind for one in self.written if one.after.rule == rule]

    def stored(self, incident: Incident) -> Incident:
        found = self.store.incidents.get(incident.id)
        assert found is not None
        return found
