"""Windows of maintenance: taken as written, or refused with the key and a way out."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.settings import ConfigErrors
from tests.unit.settings.conftest import Load

HEAD = '[[targets]]\nname = "one"\ndsn = "host=x"\n'
WINDOW = """
[[maintenance]]
name = "weekly"
match = { target = ["orders-*", "billing"], severity = "warning" }
reason = "pg_repack"
days = ["sun"]
from = "02:00"
for = "2h"
zone = "Europe/Vienna"
"""


def test_a_window_is_read_with_its_hours(load_text: Load) -> None:
    (window,) = load_text(HEAD + WINDOW).maintenance
    begins = datetime(2026, 11, 29, 1, 0, tzinfo=UTC)
    made = window.silence(begins)
    assert made is not None
    assert (made.author, made.reason, made.ends_at) == (
        "maintenance weekly",
        "pg_repack",
        begins + timedelta(hours=2),
    )
    assert made.match == (("target", "orders-*"), ("target", "billing"), ("severity", "warning"))
    assert window.silence(begins - timedelta(minutes=1)) is None


@pytest.mark.parametrize(
    ("written", "instead", "said"),
    [
        ('reason = "pg_repack"', "", "maintenance[0].reason: is needed here"),
        ('reason = "pg_repack"', 'reason = ""', "maintenance[0].reason"),
        ('match = { target = ["orders-*", "billing"], severity = "warning" }', "match = {}", "match"),
        ('days = ["sun"]', 'days = ["sonntag"]', "is no day"),
        (', severity = "warning"', "", ""),
        ('for = "2h"', 'for = "8d"', "maintenance[0].for"),
        ('name = "weekly"', 'name = "every week"', "maintenance[0].name"),
    ],
)
def test_what_cannot_be_meant_is_refused(load_text: Load, written: str, instead: str, said: str) -> None:
    text = HEAD + WINDOW.replace(written, instead)
    if not said:
        assert load_text(text).maintenance
        return
    with pytest.raises(ConfigErrors) as refused:
        load_text(text)
    assert said in str(refused.value)


def test_what_could_hide_critical_incidents_for_long_is_refused(load_text: Load) -> None:
    always = WINDOW.replace(', severity = "warning"', "").replace(
        'days = ["sun"]\nfrom = "02:00"\nfor = "2h"', ""
    )
    with pytest.raises(ConfigErrors) as refused:
        load_text(HEAD + always)
    assert "at most 1d at a time where it could hide what is critical" in str(refused.value)


def test_two_windows_have_two_names(load_text: Load) -> None:
    with pytest.raises(ConfigErrors) as refused:
        load_text(HEAD + WINDOW + WINDOW)
    assert "is already the name of another window" in str(refused.value)


def test_marks_in_a_target_count_only_where_it_is_said_whose(load_text: Load) -> None:
    with pytest.raises(ConfigErrors) as refused:
        load_text(HEAD + 'marks = ["session"]\n')
    assert "marks: whose?" in str(refused.value)
    (target,) = load_text(HEAD + 'marks = ["session"]\nmark_roles = ["dba", "deploy_*"]\n').targets
    assert [target.marked_by(role) for role in ("dba", "deploy_1", "app")] == [True, True, False]
