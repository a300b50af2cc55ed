"""What routes say of time: taken as written, or refused with the key and a way out."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.hours import quiet_until
from daemon.settings import ConfigErrors
from pgvigil.model.level import Level
from tests.support.views import incident
from tests.unit.settings.conftest import Load

HEAD = '[[targets]]\nname = "one"\ndsn = "host=x"\n[sinks.a]\nkind = "hook"\ntoken_file = "{file}"\n[[routes]]\nsinks = ["a"]\n'
MONDAY = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def head(tmp_path: object) -> str:
    return HEAD.format(file=f"{tmp_path}/pgvigil.toml")


def test_hours_are_by_the_clock_of_their_zone(load_text: Load, tmp_path: object) -> None:
    hours = '[{ days = ["mon-fri"], from = "12:30", to = 14:00:00, zone = "Europe/Vienna" }]'
    [route] = load_text(f"{head(tmp_path)}mute = {hours}\n").routes
    assert quiet_until(route.quiet, incident(), MONDAY) == MONDAY + timedelta(hours=1)
    assert quiet_until(route.quiet, incident(), MONDAY - timedelta(minutes=31)) is None
    [strict] = load_text(
        f'{head(tmp_path)}severity = [{{ from = "12:00", for = "1h", at_least = "critical" }}]\n'
    ).routes
    assert quiet_until(strict.quiet, incident(), MONDAY) is None, "it is critical"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('mute = [{ days = ["fryday"] }]', "'fryday' is no day; write mon, tue"),
        ("mute = [{ days = [] }]", "name at least one day"),
        ('mute = [{ zoen = "UTC" }]', 'routes[0].mute[0].zoen: unknown key; did you mean "zone"?'),
        ('mute = [{ from = "24:00" }]', 'mute[0].from = "24:00": not a time of day'),
        ('mute = [{ zone = "Europa/Wien" }]', "no such time zone here"),
        ('mute = [{ zone = "../UTC" }]', "no such time zone here"),
        ('mute = [{ from = "10:00", to = "10:00" }]', "leave both out for the whole day"),
        ('mute = [{ to = "10:00", for = "1h" }]', "to and for exclude each other"),
        ("mute = [{}]", "mute leaves no time in which anything is told"),
        ('mute = [{ to = "12:00" }, { from = "12:00" }]', "mute leaves no time in which anything is told"),
        ('severity = [{ from = "10:00" }]', "severity[0].at_least: is needed here"),
        ('severity = [{ at_least = "info" }]', "is none of the choices"),
    ],
)
def test_what_cannot_be_meant_is_refused(load_text: Load, tmp_path: object, written: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        load_text(f"{head(tmp_path)}{written}\n")
    assert said in str(refused.value)


def test_a_fallback_is_another_sink_that_there_is(load_text: Load, tmp_path: object) -> None:
    other = f'[sinks.b]\nkind = "hook"\ntoken_file = "{tmp_path}/pgvigil.toml"\n'
    [route] = load_text(f'{head(tmp_path)}fallback = "b"\nfallback_after = "1m"\n{other}').routes
    assert (route.fallback, route.fallback_after_s, route.fallback_severity) == (("b",), 60.0, Level.CRITICAL)
    for written, said in (
        ('"pager"', 'routes[0].fallback = "pager": no such sink'),
        ('["b", "c"]', 'routes[0].fallback[1] = "c": no such sink'),
        ('["a"]', "fallback names a, which is among sinks already"),
    ):
        with pytest.raises(ConfigErrors) as refused:
            load_text(f"{head(tmp_path)}fallback = {written}\n{other}")
        assert said in str(refused.value)


def test_a_sink_that_only_a_fallback_leads_to_is_not_idle(load_text: Load, tmp_path: object) -> None:
    other = f'[sinks.b]\nkind = "hook"\ntoken_file = "{tmp_path}/pgvigil.toml"\n'
    found = load_text(f'{head(tmp_path)}fallback = "b"\n{other}').problems
    assert "sink-without-route" not in {problem.slug for problem in found}


def test_who_else_is_told_and_when_belong_together(load_text: Load, tmp_path: object) -> None:
    other = f'[sinks.b]\nkind = "hook"\ntoken_file = "{tmp_path}/pgvigil.toml"\n'
    written = 'remind_every = "4h"\nescalate_after = "15m"\nescalate_to = "b"\n'
    loaded = load_text(f"{head(tmp_path)}{written}{other}")
    [route] = loaded.routes
    assert (route.remind_every_s, route.escalate_after_s, route.escalate_to) == (14_400.0, 900.0, ("b",))
    assert "sink-without-route" not in {problem.slug for problem in loaded.problems}
    for wrong, said in (
        ('escalate_to = "b"', "escalate_after and escalate_to need each other"),
        ('escalate_after = "5m"', "escalate_after and escalate_to need each other"),
        ('escalate_after = "5m"\nescalate_to = "a"', "escalate_to names a, which is among sinks already"),
        ('escalate_after = "5m"\nescalate_to = "c"', 'routes[0].escalate_to = "c": no such sink'),
        ('remind_every = "1s"', "remind_every"),
    ):
        with pytest.raises(ConfigErrors) as refused:
            load_text(f"{head(tmp_path)}{wrong}\n{other}")
        assert said in str(refused.value)
