"""Many incidents within a short time: one message, edited in place, and afterwards what still fires by itself."""

from dataclasses import replace

import pytest

from pgvigil.model.delivery import DeliveryFailure, DeliveryStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.store import Store
from tests.support.destination import Destination
from tests.support.outbox import Rig
from tests.unit.outbox.pauses import resolve, sections
from tests.unit.outbox.storms import QUIET_S, begin, blow, keys, title


@pytest.fixture
def webhook(store: Store) -> Rig:
    return Rig(store, Destination(can_edit=False, can_reply=False, can_look=False))


def test_many_that_begin_together_are_one_message(rig: Rig) -> None:
    blow(rig, 12, mention="<!subteam^S1>")
    rig.run(10)
    assert len(rig.sink.in_channel) == 1
    (digest,) = rig.sink.digests
    assert digest.title == "Alert storm: 12 incidents on 1 target in 0s"
    assert digest.mention == "<!subteam^S1>"
    assert sections(rig) == {"New": list(range(1, 11))}
    assert digest.sections[0].more == 2
    assert [rig.row(each).status for each in range(1, 13)] == [DeliveryStatus.SETTLED] * 12


def test_fewer_are_told_one_by_one(rig: Rig) -> None:
    blow(rig, 9)
    rig.run(30)
    assert len(rig.sink.in_channel) == 9
    assert rig.sink.digests == []


def test_those_that_were_told_one_by_one_just_before_count_as_well(rig: Rig) -> None:
    """A trickle fills a channel as a flood does."""
    for _ in range(15):
        begin(rig)
        rig.run(3)
    assert keys(rig)[:9] == [str(number) for number in range(1, 10)]
    assert [key[:6] for key in keys(rig)[9:]] == ["digest"]
    rig.run(15)
    assert title(rig).startswith("Alert storm: 15 incidents on 1 target in ")


def test_a_trickle_over_a_longer_time_is_no_storm(rig: Rig) -> None:
    for _ in range(20):
        begin(rig)
        rig.run(8)
    assert rig.sink.digests == []


def test_what_is_explained_or_silenced_makes_no_storm(rig: Rig) -> None:
    for _ in range(20):
        begin(rig, suppressed_by="INC-99")
        begin(rig, silenced_by="SIL-1")
    blow(rig, 3)
    rig.run(30)
    assert rig.sink.digests == []
    assert len(rig.sink.in_channel) == 3


def test_what_begins_while_it_lasts_joins_the_message(rig: Rig) -> None:
    fired = blow(rig, 10)
    rig.run(5)
    blow(rig, 3)
    resolve(rig, fired[0])
    rig.run(20)
    assert len(rig.sink.in_channel) == 1
    assert title(rig) == "Alert storm: 13 incidents on 1 target in 16s, 12 still firing"
    assert sections(rig) == {"Still firing": list(range(2, 12)), "Resolved meanwhile": []}
    assert [section.more for section in rig.sink.digests[-1].sections] == [2, 1]
    assert rig.sink.calls.count("digest edit") == 1
    assert {rig.row(each).seen_state for each in range(2, 14)} == {State.FIRING}
    assert rig.row(1).seen_state is State.RESOLVED


def test_what_is_over_before_the_next_edit_is_settled_and_waits_for_nothing(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(2)
    short = begin(rig)
    rig.sink.faults.append(DeliveryFailure.TRANSIENT)
    rig.run(5)
    resolve(rig, short)
    rig.run(20)
    assert rig.row(short.id).status is DeliveryStatus.SETTLED
    assert rig.record.stats().dropped == {"over": 1}


def test_what_is_muted_here_is_no_part_of_it_and_waits_for_nothing(store: Store) -> None:
    rig = Rig(store, muted=lambda incident, _sink, _now: incident.severity <= Level.INFO)
    blow(rig, 10)
    rig.run(2)
    quiet = begin(rig, level=Level.INFO)
    rig.run(40)
    assert rig.row(quiet.id).status is DeliveryStatus.SETTLED
    assert rig.row(quiet.id).seen_state is None
    assert title(rig).startswith("Alert storm: 10 incidents")


def test_what_gets_worse_while_it_is_silenced_is_heard_when_that_ends(rig: Rig) -> None:
    fired = blow(rig, 10, level=Level.INFO)
    rig.run(2)
    worse = rig.commit(fired[0], silenced_by="SIL-1", severity=Level.WARNING, peak=Level.WARNING)
    rig.run(40)
    assert "silenced by SIL-1" in [line.note for line in rig.sink.digests[-1].sections[0].lines]
    assert rig.row(worse.id).status is DeliveryStatus.SETTLED
    assert rig.row(worse.id).seen_level is Level.INFO
    rig.commit(worse, silenced_by=None)
    rig.run(QUIET_S)
    assert rig.row(worse.id).seen_level is Level.WARNING


def test_a_reminder_of_one_that_the_message_tells_leaves_nothing_waiting(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(2)
    row = rig.row(1)
    rig.store.deliveries.wake([replace(row, want_reminder=1)], rig.clock().utc)
    rig.run(20)
    assert rig.row(1).status is DeliveryStatus.SETTLED


def test_who_has_taken_one_on_is_said(rig: Rig) -> None:
    fired = blow(rig, 10)
    rig.run(2)
    rig.commit(fired[0], acknowledged_by="ana")
    rig.run(20)
    assert rig.sink.digests[-1].sections[0].lines[0].note == "acknowledged by ana"


def test_an_edit_is_made_only_when_something_changed(rig: Rig) -> None:
    blow(rig, 10)
    rig.run(200)
    assert rig.sink.calls == ["digest"]


def test_the_worst_come_first_then_what_has_most_to_do_with_it(rig: Rig) -> None:
    fired = blow(rig, 10)
    costly = begin(rig, evidence=replace(fired[0].evidence, share_percent=40.0))
    parent = begin(rig, evidence=replace(fired[0].evidence, notes=("one part", "another part")))
    worst = begin(rig, level=Level.CRITICAL)
    rig.run(1)
    assert sections(rig)["New"][:4] == [worst.id, parent.id, costly.id, fired[0].id]


def test_what_still_fires_at_the_end_is_posted_in_its_thread_and_calls_nobody(rig: Rig) -> None:
    fired = blow(rig, 12, mention="<!subteam^S1>")
    rig.run(1)
    for each in fired[2:]:
        resolve(rig, each)
    rig.run(100)
    assert rig.sink.roots == []
    rig.run(QUIET_S)
    root = rig.sink.messages[0].ts
    assert title(rig) == "Alert storm over: 12 incidents on 1 target in 5m01s, 2 still firing"
    assert rig.sink.digests[-1].footer.endswith("2 incidents that still fire follow in the thread.")
    assert [(message.incident, message.in_thread_of) for message in rig.sink.roots] == [(1, root), (2, root)]
    assert [message.told for message in rig.sink.roots] == [None, None]
    assert rig.store.storms.get("oncall") is None
    rig.run(7200)
    assert len(rig.sink.messages) == 3


def test_when_all_is_resolved_the_last_edit_says_so(rig: Rig) -> None:
    fired = blow(rig, 10)
    rig.run(1)
    for each in fired:
        resolve(rig, each)
    rig.run(QUIET_S + 20)
    assert title(rig).endswith("all resolved")
    assert len(rig.sink.messages) == 1 + len(rig.sink.roots)
    assert all(rig.row(number).status is DeliveryStatus.SETTLED for number in range(1, 11))


def test_it_lasts_for_as_long_as_more_than_one_begins_in_the_quiet_time(rig: Rig) -> None:
    blow(rig, 10)
    for _ in range(4):
        rig.run(200)
        blow(rig, 2)
    assert rig.store.storms.get("oncall") is not None
    rig.run(100)
    begin(rig)  # one alone is no storm
    rig.run(250)
    assert rig.store.storms.get("oncall") is None
    assert title(rig).startswith("Alert storm over: 19 incidents")


def test_afterwards_incidents_are_told_one_by_one_again(rig: Rig) -> None:
    fired = blow(rig, 10)
    rig.run(1)
    for each in fired:
        resolve(rig, each)
    rig.run(QUIET_S + 20)
    begin(rig)
    rig.run(5)
    assert keys(rig)[1:] == ["11"]


# --- what cannot wait -------------------------------------------------------------------------------------


def test_a_critical_one_of_the_first_message_has_its_own_at_once(rig: Rig) -> None:
    """Its diagnosis and its buttons cannot wait for the end."""
    blow(rig, 10)
    worst = begin(rig, level=Level.CRITICAL)
    rig.run(5)
    assert [(each.incident, each.in_thread_of) for each in rig.sink.roots] == [(worst.id, "1")]


def test_a_critical_one_that_begins_later_is_told_by_itself(rig: Rig) -> None:
    """An edit calls nobody."""
    blow(rig, 10)
    rig.run(5)
    worst = begin(rig, level=Level.CRITICAL, mention="<!subteam^S1>")
    rig.run(2)
    assert keys(rig)[1:] == [str(worst.id)]
    rig.run(20)
    assert title(rig).startswith("Alert storm: 11 incidents")
    assert sections(rig)["Still firing"][0] == worst.id


def test_one_that_becomes_critical_is_heard_at_once(rig: Rig) -> None:
    fired = blow(rig, 10)
    rig.run(5)
    rig.commit(fired[3], severity=Level.CRITICAL, peak=Level.CRITICAL)
    rig.run(2)
    (own,) = rig.sink.roots
    assert (own.incident, own.told, own.in_thread_of) == (fired[3].id, "worse", "1")


def test_of_a_flood_of_critical_ones_those_of_a_minute_are_another_message(rig: Rig) -> None:
    """Each by itself would be what a storm's message is to prevent; and an edit would call nobody."""
    blow(rig, 10)
    rig.run(20)
    for _ in range(120):
        begin(rig, level=Level.CRITICAL, mention="<!subteam^S1>")
        rig.run(1)
    rig.run(60)
    alone = [key for key in keys(rig) if not key.startswith("digest")]
    assert len(alone) < 10 + 15  # until the next look at it
    more = [digest for digest in rig.sink.digests if digest.mention]
    assert [digest.title[:23] for digest in more] == ["Alert storm, continued:"] * 3
    assert {rig.row(number).seen_state for number in range(1, 131)} == {State.FIRING}
    rig.run(QUIET_S + 60)
    assert {message.incident for message in rig.sink.roots} == set(range(1, 131))


def test_a_message_of_an_incident_from_before_the_storm_is_edited_as_ever(rig: Rig) -> None:
    early = begin(rig)
    rig.run(120)
    blow(rig, 10)
    rig.run(5)
    resolve(rig, early)
    rig.run(3)
    assert [message.told for message in rig.sink.replies] == ["resolved"]


# --- where nothing can be edited --------------------------------------------------------------------------


def test_where_nothing_can_be_edited_what_is_new_is_gathered(webhook: Rig) -> None:
    webhook.sink.digest_lines = 10
    blow(webhook, 10)
    webhook.run(5)
    for _ in range(12):
        begin(webhook)
        webhook.run(4)
    webhook.run(60)
    assert [digest.title for digest in webhook.sink.digests] == [
        "Alert storm: 10 incidents on 1 target in 0s",
        "Alert storm, continued: 12 incidents on 1 target",
    ] or len(webhook.sink.digests) == 3
    assert all(key.startswith("digest") for key in webhook.sink.in_channel)
    webhook.run(QUIET_S)
    assert webhook.store.storms.get("oncall") is None
    assert {webhook.row(number).seen_state for number in range(1, 23)} == {State.FIRING}


@pytest.mark.parametrize("lines", [0, 10])
def test_a_destination_that_takes_no_digest_has_each_by_itself(store: Store, lines: int) -> None:
    rig = Rig(store, Destination(can_reply=False, digest_lines=lines))
    blow(rig, 12)
    rig.run(30)
    assert rig.sink.digests == []
    assert len(rig.sink.in_channel) == 12


def test_a_message_of_an_hour_ago_is_followed_by_another(rig: Rig) -> None:
    """Nobody looks for news in it, however long the storm lasts."""
    for _ in range(25):
        blow(rig, 10)
        rig.run(200)
    footers = [digest.footer for digest in rig.sink.digests if "another message" in digest.footer]
    assert len(footers) == 1
    assert len([key for key in keys(rig) if key.startswith("digest")]) == 2
