"""minor_version_behind: judged by what is known of releases; what is newer than that is not behind."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta

import pytest

from alerts.rules import minor_version_behind as rule
from pgvigil.model.level import Level
from pgvigil.releases import Release, Releases, split
from tests.support import watching
from tests.support.servers import Database
from tests.support.vitals import Vitals


@contextmanager
def known(monkeypatch: pytest.MonkeyPatch, major: int, *minors: Release) -> Iterator[None]:
    found = Releases(date(2026, 8, 31), {major: minors}, {})
    with monkeypatch.context() as patched:
        patched.setattr(rule, "releases", lambda: found)
        yield


def ago(days: float) -> date:
    return (datetime.now(UTC) - timedelta(days=days)).date()


def test_a_server_is_behind_until_it_has_the_latest_known_release(
    each_database: Database, vitals: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = vitals({"minor_version_behind": {}})
    with closing(watching.watch(each_database.dsn())) as session:
        major, minor = split(session.facts.version_num)
        own, fixes = Release(minor, ago(400), True), Release(minor + 1, ago(20), False)
        with known(monkeypatch, major, fixes, own):
            scene.look(session)
            told = scene.firing["server version"]
            assert told.severity is Level.INFO
            assert (
                told.summary
                == f"PostgreSQL {major}.{minor} lacks 1 minor release; {major}.{minor + 1} is of {ago(20)}"
            )
        with known(monkeypatch, major, Release(minor + 2, ago(10), True), fixes, own):
            scene.look(session, after_s=300)
            assert scene.firing["server version"].severity is Level.INFO
            scene.look(session, after_s=81 * 86400)
            assert scene.firing["server version"].severity is Level.WARNING
            assert (
                "lacks 2 minor releases, 1 of them with security fixes"
                in scene.firing["server version"].summary
            )
        with known(monkeypatch, major, own):
            scene.look(session, after_s=300)
        assert scene.open == {}


def test_what_is_newer_than_the_data_is_not_behind(
    database: Database, vitals: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = vitals({"minor_version_behind": {}})
    with closing(watching.watch(database.dsn())) as session:
        major, minor = split(session.facts.version_num)
        for minors in ((Release(minor - 1, ago(400), True),), ()):
            with known(monkeypatch, major, *minors):
                scene.look(session, after_s=300)
        assert scene.open == {}
