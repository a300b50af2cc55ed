"""setting_changed: another server by the same name has changed nothing."""

from datetime import timedelta

from alerts.rules.setting_changed import RULE
from pgvigil.model.change import Change
from tests.support.readings import NOW, context, snapshot


def changed(key: str, old: str, new: str, minutes_ago: float) -> Change:
    at = NOW - timedelta(minutes=minutes_ago)
    return Change(database=None, key=key, old=old, new=new, after=at - timedelta(minutes=5), at=at)


def told(*changes: Change) -> list[str]:
    judged = RULE.evaluate(snapshot(None, "settings"), RULE.params(), context(changes=changes))
    return [finding.subject for finding in judged.findings]


def test_what_differs_between_two_servers_of_one_name_was_not_changed() -> None:
    """After a failover: only what came before or after it was changed, and what is in the catalogue."""
    failover = (
        changed("data_directory", "/srv/a", "/srv/b", 60),
        changed("shared_buffers", "8GB", "4GB", 60),
        changed("work_mem of role app", "4MB", "8MB", 60),
    )
    assert told(*failover) == ["setting work_mem of role app"]
    later = changed("autovacuum_naptime", "1min", "5min", 10)
    assert told(*failover, later) == ["setting autovacuum_naptime", "setting work_mem of role app"]


def test_on_the_same_server_it_was() -> None:
    assert told(changed("shared_buffers", "8GB", "4GB", 60)) == ["setting shared_buffers"]
