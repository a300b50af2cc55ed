"""Who may do what at the desk, and that silencing by a button is done once and never for too long."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.actions import Desk
from alerts.people import People, Person
from alerts.quieting import Quieting
from alerts.silences import Silences
from pgvigil.model.action import Action, ActionKind, Actor, Door, Feedback, Outcome, Result, fault_of
from pgvigil.model.incident import Incident, State, Transition
from pgvigil.model.level import Level
from pgvigil.store import Store
from tests.support.views import incident
from tests.unit.sinks.samples import NOW, pile_up, resolved

ANA = Person("ana", frozenset({"U1"}), frozenset({"act", "silence"}))
BOB = Person("bob", frozenset({"U2"}), frozenset({"act"}))


class World:
    """One incident, a desk, and what it had done."""

    def __init__(self, store: Store, incident: Incident, *people: Person) -> None:
        self.incident = incident
        self.performed: list[Action] = []
        self.noted: list[Action] = []
        self.followed = 0
        self.silences = Silences(store.silences)
        quieting = Quieting(self.silences, lambda: [self.incident], self._follow)
        self.desk = Desk(self, self._perform, silence=quieting, people=lambda: People(people))

    def action(self, _action_id: str) -> Action | None:
        return None

    def get(self, _incident_id: int) -> Incident:
        return self.incident

    def verdict(self, _incident_id: int, _actor: str) -> ActionKind | None:
        return self.noted[-1].kind if self.noted else None

    def note(self, action: Action) -> None:
        self.noted.append(action)

    def _perform(self, _target: str, action: Action) -> Outcome:
        self.performed.append(action)
        return Outcome(Result.DONE, self.incident, "done")

    def _follow(self) -> None:
        self.followed += 1

    def press(
        self,
        kind: ActionKind,
        *,
        user: str = "U1",
        for_s: float | None = 3600.0,
        door: Door = Door.SLACK,
        fault: str = "",
        worst: Level | None = None,
    ) -> Outcome:
        action = Action(
            id="x",
            kind=kind,
            incident_id=412,
            actor=Actor("someone", door, user),
            at=NOW,
            for_s=for_s,
            worst=worst,
            fault=fault,
        )
        return self.desk.act(action)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(f"sqlite:///{tmp_path}/pgvigil.db")) as opened:
        yield opened


def test_a_person_acts_under_the_name_of_the_configuration(store: Store) -> None:
    world = World(store, pile_up(), ANA, BOB)
    assert world.press(ActionKind.ACKNOWLEDGE, user="U2").result is Result.DONE
    assert [one.actor.name for one in world.performed] == ["bob"]


@pytest.mark.parametrize(
    ("kind", "user", "says"),
    [
        (ActionKind.ACKNOWLEDGE, "U3", "you (U3) are not among [[people]]"),
        (ActionKind.SILENCE, "U2", 'bob may not; [[people]] would have to say may = ["silence"]'),
    ],
)
def test_whoever_may_not_hears_why_and_nothing_changes(
    kind: ActionKind, user: str, says: str, store: Store
) -> None:
    world = World(store, pile_up(), ANA, BOB)
    outcome = world.press(kind, user=user)
    assert outcome.result is Result.REFUSED
    assert outcome.sentence.startswith(says)
    assert (world.performed, world.silences.all) == ([], ())


def test_people_are_of_slack_and_a_token_says_itself_what_it_may(store: Store) -> None:
    assert World(store, pile_up(), ANA).press(ActionKind.ACKNOWLEDGE, door=Door.API).result is Result.DONE


@pytest.mark.parametrize(
    ("severity", "for_s", "result"),
    [
        (Level.CRITICAL, 4 * 3600.0, Result.DONE),
        (Level.CRITICAL, 4 * 3600.0 + 1, Result.REFUSED),
        (Level.CRITICAL, None, Result.REFUSED),
        (Level.WARNING, 86_400.0, Result.DONE),
        (Level.WARNING, None, Result.DONE),
        (Level.WARNING, 8 * 86_400.0, Result.REFUSED),
    ],
)
def test_while_nobody_is_named_nothing_critical_is_quiet_for_more_than_four_hours(
    severity: Level, for_s: float | None, result: Result, store: Store
) -> None:
    outcome = World(store, pile_up(severity=severity)).press(ActionKind.SILENCE, for_s=for_s)
    assert outcome.result is result


def test_who_is_named_may_silence_what_is_critical_for_longer(store: Store) -> None:
    outcome = World(store, pile_up(), ANA).press(ActionKind.SILENCE, for_s=86_400.0)
    assert outcome.result is Result.DONE


def test_a_silence_has_author_reason_and_end_and_the_second_one_hears_who_was_first(store: Store) -> None:
    world = World(store, pile_up(), ANA)
    outcomes = [world.press(ActionKind.SILENCE) for _ in range(2)]
    assert [one.result for one in outcomes] == [Result.DONE, Result.ALREADY]
    assert outcomes[1].sentence == "ana was first: SIL-1 keeps INC-412 quiet already"
    (silence,) = world.silences.all
    assert (silence.author, silence.reason) == ("ana", "silenced in slack")
    assert silence.ends_at - silence.created_at == timedelta(hours=1)
    assert silence.match == (("incident", "INC-412"),)
    assert world.followed == 1


def test_what_is_expected_is_quiet_when_it_comes_again_and_heard_when_it_is_worse(store: Store) -> None:
    """A subject with brackets and stars in it means itself."""
    fault = pile_up(severity=Level.WARNING, subject="table public.[a]*")
    world = World(store, fault, ANA)
    assert world.press(ActionKind.EXPECTED).result is Result.DONE
    quiet = [
        world.silences.covering(one, NOW) is not None
        for one in (
            fault,
            replace(fault, id=500),
            replace(fault, severity=Level.CRITICAL),
            replace(fault, subject="table public.ab"),
            replace(fault, target="billing"),
            replace(fault, database="other"),
        )
    ]
    assert quiet == [True, True, False, False, False, False]
    (silence,) = world.silences.all
    assert (silence.reason, silence.ends_at - NOW) == ("expected, as INC-412 says", timedelta(days=7))


def test_silenced_up_to_a_severity_it_is_told_when_it_gets_worse(store: Store) -> None:
    """Also where it is until resolved; and not at all where it is worse already."""
    for for_s in (3600.0, None):
        world = World(store, pile_up(severity=Level.WARNING), ANA)
        assert world.press(ActionKind.SILENCE, for_s=for_s, worst=Level.WARNING).result is Result.DONE
        quiet = [world.silences.covering(one, NOW) for one in (world.incident, pile_up())]
        assert [one is not None for one in quiet] == [True, False]
        (silence, *_) = world.silences.all
        world.silences.expire(silence.id, "ana", NOW)
    world = World(store, pile_up(), ANA)
    outcome = world.press(ActionKind.SILENCE, worst=Level.WARNING)
    assert (outcome.result, outcome.sentence) == (
        Result.REFUSED,
        "INC-412 is critical already, worse than warning",
    )


def test_what_is_critical_is_never_expected(store: Store) -> None:
    world = World(store, pile_up(), ANA)
    assert world.press(ActionKind.EXPECTED).result is Result.REFUSED
    assert world.silences.all == ()


def test_of_each_person_the_last_word_on_an_incident_is_reported(store: Store) -> None:
    (item,) = store.incidents.commit((Transition("opened", None, incident(id=0)),), ())
    said = [("ana", "noise"), ("ana", "useful"), ("bob", "noise")]
    for number, (who, kind) in enumerate(said):
        at = NOW + timedelta(seconds=number)
        actor = Actor(who, Door.SLACK)
        note = Action(id=str(number), kind=ActionKind(kind), incident_id=item.id, actor=actor, at=at)
        store.incidents.note(note)
    assert store.incidents.verdict(item.id, "ana") is ActionKind.USEFUL
    assert [(one.actor.name, one.kind.value) for one in store.incidents.actions(item.id)] == said
    assert list(store.incidents.feedback()) == [Feedback(item.rule, 1, 1, 1)]


def test_a_message_of_an_older_store_changes_nothing_in_this_one(store: Store) -> None:
    """The number is another incident's now."""
    world = World(store, pile_up())
    assert world.press(ActionKind.ACKNOWLEDGE, fault="0" * 16).result is Result.REFUSED
    assert world.press(ActionKind.ACKNOWLEDGE, fault=fault_of(pile_up())).result is Result.DONE
    assert len(world.performed) == 1


def test_feedback_is_counted_once_and_people_may_change_their_minds(store: Store) -> None:
    world = World(store, resolved())
    kinds = [ActionKind.NOISE, ActionKind.NOISE, ActionKind.USEFUL]
    assert [world.press(kind).result for kind in kinds] == [Result.DONE, Result.ALREADY, Result.DONE]
    assert world.desk.feedback == {("blocking_chain", "noise"): 1, ("blocking_chain", "useful"): 1}


def test_what_nobody_was_told_of_is_neither_useful_nor_noise(store: Store) -> None:
    world = World(store, pile_up(state=State.PENDING))
    assert world.press(ActionKind.NOISE).result is Result.REFUSED
    assert (world.noted, world.desk.feedback) == ([], {})
