"""Which incident explains a finding."""

from dataclasses import replace
from graphlib import CycleError

import pytest

from alerts.correlate import Explainers, family
from alerts.lifecycle import step
from alerts.timers import Policy
from alerts.tracked import Seen
from pgvigil.model.incident import Incident, State
from tests.unit.alerts.acting import Clock, finding
from tests.unit.alerts.world import RULES, rule

FAMILY = family({name: bound.rule for name, bound in RULES.items()})
SESSION = frozenset({"session 1@t"})
CLOCK = Clock()


def incident(of: str, number: int, **more: object) -> Incident:
    """An incident that fires and explains the session."""
    seen = Seen(finding(of, f"subject {number}", about=SESSION, explains=SESSION))
    tracked = step(None, seen, Policy(for_s=0, keep_firing_for_s=0), CLOCK.now).tracked
    assert tracked is not None
    return replace(tracked.incident, id=number, **more)


def explained(by: list[Incident], of: str = "long_transaction") -> int | None:
    """The id of the incident that a finding about the session belongs to, whatever the order of the book."""
    seen = finding(of, about=SESSION, measured_from=CLOCK.now.utc)
    found = {Explainers(FAMILY, some).of_finding(seen) for some in (by, by[::-1])}
    [only] = found
    return None if only is None else only.id


def test_absorbing_is_transitive() -> None:
    assert FAMILY.absorbs["blocking_chain"] >= {"idle_in_transaction", "long_transaction"}
    assert explained([incident("blocking_chain", 1)]) == 1


def test_the_topmost_comes_before_the_oldest() -> None:
    assert explained([incident("idle_in_transaction", 1), incident("blocking_chain", 2)]) == 2


def test_of_two_of_a_kind_the_oldest_and_a_new_one_last() -> None:
    """Otherwise a child would change its parent with every poll."""
    chains = [incident("blocking_chain", number) for number in (7, 3, 0)]
    assert explained(chains) == 3
    assert explained([chains[0], chains[2]]) == 7


def test_one_that_lasts_comes_before_one_that_ended() -> None:
    ended = incident("blocking_chain", 1, state=State.RESOLVED, resolved_at=CLOCK.now.utc)
    assert explained([ended]) == 1
    assert explained([ended, incident("idle_in_transaction", 2)]) == 2


def test_one_that_never_fired_explains_nothing() -> None:
    dropped = incident("blocking_chain", 1, state=State.RESOLVED, resolved_at=CLOCK.now.utc, fired_at=None)
    assert explained([dropped, incident("blocking_chain", 2, state=State.PENDING)]) is None


def test_it_explains_only_what_its_rule_absorbs() -> None:
    assert explained([incident("idle_in_transaction", 1)], of="slow_query") is None


def test_a_circle_is_refused() -> None:
    rules = {name: rule(name, absorbs=[other]).rule for name, other in (("a", "b"), ("b", "a"))}
    with pytest.raises(CycleError):
        family(rules)


def test_what_absorbs_a_rule_that_is_switched_off_still_works() -> None:
    assert family({"a": rule("a", absorbs=["gone"]).rule}).absorbs == {"a": frozenset()}


def test_of_another_target_comes_after_what_is_here_and_an_ended_one_takes_only_what_is_seen_now() -> None:
    here = incident("idle_in_transaction", 2)
    elsewhere = incident("blocking_chain", 1, state=State.RESOLVED, resolved_at=CLOCK.now.utc)
    seen, before = finding("long_transaction", about=SESSION), incident("long_transaction", 3)
    both, other = Explainers(FAMILY, [here], [elsewhere]), Explainers(FAMILY, [], [elsewhere])
    assert (both.of_finding(seen), both.of_incident(before)) == (here, here)
    assert (other.of_finding(seen), other.of_incident(before)) == (elsewhere, None)
    lasts = incident("blocking_chain", 4)
    assert Explainers(FAMILY, [], [lasts]).of_incident(before) == lasts
