"""What a destination is told, row by row of the table, and what holds for every row."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.outbox.acts import acts, shown
from alerts.outbox.seen import Seen
from pgvigil.model.delivery import Act, ActKind, Delivery, Told
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from tests.support.views import T0, incident

INFO, WARNING, CRITICAL = Level.INFO, Level.WARNING, Level.CRITICAL
FIRING, UNKNOWN, RESOLVED, PENDING = State.FIRING, State.UNKNOWN, State.RESOLVED, State.PENDING
REMOTE = {"channel": "C1", "ts": "1.2"}


def now(state: State = FIRING, severity: Level = WARNING, **changes: Any) -> Incident:
    values = {"version": 5, "peak": severity} | changes
    return incident(state=state, severity=severity, **values)


def row(seen: tuple[State, Level] | None = None, **changes: Any) -> Delivery:
    values = {"remote": REMOTE if seen else {}} | changes
    return Delivery(
        incident_id=7,
        sink="oncall",
        want_version=5,
        urgency=WARNING,
        due_since=T0,
        seen_version=4 if seen else 0,
        seen_state=seen[0] if seen else None,
        seen_level=seen[1] if seen else None,
        **values,
    )


def said(incident_now: Incident, delivery: Delivery, *, can_edit: bool = True, can_reply: bool = True) -> str:
    """Such as "edit, reply worse"."""
    todo = acts(incident_now, delivery, can_edit=can_edit, can_reply=can_reply)
    assert all((act.incident_id, act.version) == (7, 5) for act in todo)
    return ", ".join(f"{act.kind} {act.told}" if act.told else str(act.kind) for act in todo)


@pytest.mark.parametrize(
    ("incident_now", "todo"),
    [
        (now(FIRING), "post"),
        (now(UNKNOWN), "post"),
        (now(RESOLVED, peak=CRITICAL), "post"),
        (now(RESOLVED, peak=WARNING), ""),
        (now(PENDING), ""),
        (now(FIRING, CRITICAL, suppressed_by="INC-3"), ""),
        (now(RESOLVED, peak=CRITICAL, suppressed_by="INC-3"), ""),
        (now(FIRING, CRITICAL, silenced_by="silence 12"), ""),
        (now(FIRING, acknowledged_by="ann"), "post"),
    ],
)
@pytest.mark.parametrize("able", [(True, True), (True, False), (False, False)])
def test_where_nothing_was_seen(incident_now: Incident, todo: str, able: tuple[bool, bool]) -> None:
    assert said(incident_now, row(), can_edit=able[0], can_reply=able[1]) == todo


@pytest.mark.parametrize(
    ("seen", "incident_now", "slack", "no_reply", "no_edit"),
    [
        ((FIRING, WARNING), now(FIRING), "edit", "edit", ""),
        ((FIRING, WARNING), now(FIRING, CRITICAL), "edit, reply worse", "edit, post worse", "post worse"),
        ((FIRING, CRITICAL), now(FIRING, WARNING), "edit", "edit", ""),
        ((FIRING, WARNING), now(UNKNOWN), "edit", "edit", ""),
        ((UNKNOWN, WARNING), now(FIRING), "edit", "edit", ""),
        ((FIRING, WARNING), now(RESOLVED), "edit, reply resolved", "edit", "post resolved"),
        ((UNKNOWN, WARNING), now(RESOLVED), "edit, reply resolved", "edit", "post resolved"),
        ((RESOLVED, WARNING), now(FIRING), "edit, reply reopened", "edit, post reopened", "post reopened"),
        ((RESOLVED, WARNING), now(UNKNOWN), "edit, reply reopened", "edit, post reopened", "post reopened"),
        (
            (RESOLVED, INFO),
            now(FIRING, CRITICAL),
            "edit, reply reopened",
            "edit, post reopened",
            "post reopened",
        ),
        ((RESOLVED, WARNING), now(RESOLVED), "edit", "edit", ""),
        ((RESOLVED, WARNING), now(PENDING), "", "", ""),
        ((FIRING, WARNING), now(PENDING), "", "", ""),
        # suppressed after it was posted: edited, and only its end is heard
        ((FIRING, WARNING), now(UNKNOWN, CRITICAL, suppressed_by="INC-3"), "edit", "edit", ""),
        ((RESOLVED, WARNING), now(FIRING, suppressed_by="INC-3"), "edit", "edit", ""),
        (
            (FIRING, WARNING),
            now(RESOLVED, suppressed_by="INC-3"),
            "edit, reply resolved",
            "edit",
            "post resolved",
        ),
        # silenced after it was posted: edited, and nothing is heard
        ((FIRING, WARNING), now(FIRING, CRITICAL, silenced_by="silence 12"), "edit", "edit", ""),
        ((FIRING, WARNING), now(RESOLVED, silenced_by="silence 12"), "edit", "edit", ""),
    ],
)
def test_where_something_was_seen(
    seen: tuple[State, Level], incident_now: Incident, slack: str, no_reply: str, no_edit: str
) -> None:
    assert said(incident_now, row(seen)) == slack
    assert said(incident_now, row(seen), can_reply=False) == no_reply
    assert said(incident_now, row(seen, remote={}), can_edit=False, can_reply=False) == no_edit


@pytest.mark.parametrize(
    ("incident_now", "todo"),
    [
        (now(FIRING), "post"),
        (now(FIRING, CRITICAL), "post worse"),
        (now(RESOLVED), "post resolved"),
        (now(FIRING, suppressed_by="INC-3"), ""),
    ],
)
def test_a_deleted_message_is_posted_anew(incident_now: Incident, todo: str) -> None:
    assert said(incident_now, row((FIRING, WARNING), remote={})) == todo


IN_FLIGHT: dict[str, Any] = {"act_key": "7:4:post", "act_at": T0, "maybe_seen": ((FIRING, WARNING),)}


@pytest.mark.parametrize(
    ("incident_now", "slack", "no_edit"),
    [
        (now(FIRING), "post", "post"),
        (now(RESOLVED), "post resolved", "post resolved"),
        (now(RESOLVED, silenced_by="silence 12"), "post", "post"),
        (now(FIRING, suppressed_by="INC-3"), "post", "post"),
    ],
)
def test_a_first_message_that_may_have_arrived_is_never_left_standing(
    incident_now: Incident, slack: str, no_edit: str
) -> None:
    """Whoever may have read "firing" reads how it goes on."""
    assert said(incident_now, row(**IN_FLIGHT)) == slack
    assert said(incident_now, row(**IN_FLIGHT), can_edit=False, can_reply=False) == no_edit


def test_a_resolve_that_may_have_arrived_is_taken_back() -> None:
    """Seen firing, then perhaps "resolved", and it fires: without an answer people might go home."""
    doubtful = IN_FLIGHT | {"maybe_seen": ((RESOLVED, WARNING), (FIRING, WARNING))}
    assert said(now(FIRING), row((FIRING, WARNING), **doubtful)) == "edit, reply reopened"
    assert said(now(FIRING), row((FIRING, WARNING), **doubtful), can_edit=False) == "post reopened"


def test_what_was_withheld_is_heard_when_the_silence_ends() -> None:
    worse = now(FIRING, CRITICAL, silenced_by="silence 12")
    before = row((FIRING, WARNING))
    edit = (Act(ActKind.EDIT, 7, 5),)
    assert shown(worse, before, edit) == Seen(FIRING, WARNING)
    assert said(now(FIRING, CRITICAL), before) == "edit, reply worse"


def test_a_silent_resolve_is_seen() -> None:
    silent = now(RESOLVED, silenced_by="silence 12")
    assert shown(silent, row((FIRING, WARNING)), (Act(ActKind.EDIT, 7, 5),)) == Seen(RESOLVED, WARNING)


def test_nothing_done_changes_nothing_seen() -> None:
    assert shown(now(RESOLVED), row(), ()) is None
    assert shown(now(PENDING), row((FIRING, WARNING)), ()) == Seen(FIRING, WARNING)


SEEN = st.none() | st.tuples(
    st.sampled_from([FIRING, UNKNOWN, RESOLVED]), st.sampled_from([INFO, WARNING, CRITICAL])
)
NOW = st.builds(
    now,
    st.sampled_from([FIRING, UNKNOWN, RESOLVED]),
    st.sampled_from([INFO, WARNING, CRITICAL]),
    suppressed_by=st.none() | st.just("INC-3"),
    silenced_by=st.none() | st.just("silence 12"),
)


@given(incident_now=NOW, seen=SEEN, can_edit=st.booleans(), can_reply=st.booleans())
def test_telling_it_once_is_enough(
    incident_now: Incident, seen: tuple[State, Level] | None, can_edit: bool, can_reply: bool
) -> None:
    """After the acts, the same incident gives no act that is heard; at most an edit, which is free."""
    before = row(seen)
    todo = acts(incident_now, before, can_edit=can_edit, can_reply=can_reply)
    seen_then = shown(incident_now, before, todo)
    after = row((seen_then.state, seen_then.level) if seen_then else None)
    again = acts(incident_now, after, can_edit=can_edit, can_reply=can_reply)
    if todo:
        assert [act for act in again if act.creates] == []


@given(incident_now=NOW, seen=SEEN, can_reply=st.booleans())
def test_there_is_at_most_one_reply_and_it_says_why(
    incident_now: Incident, seen: tuple[State, Level] | None, can_reply: bool
) -> None:
    todo = acts(incident_now, row(seen), can_edit=True, can_reply=can_reply)
    replies = [act for act in todo if act.kind is ActKind.REPLY]
    assert len(replies) <= 1
    assert all(act.told in Told for act in replies)
    assert sum(act.creates for act in todo) <= 1
