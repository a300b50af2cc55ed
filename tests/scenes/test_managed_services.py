"""On the servers of managed services pgvigil stays healthy, and says once what it cannot see there.

The services themselves are not to be had here: real servers with their roles, their databases, and what they refuse.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgvigil.model.level import Level
from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.session import connect
from pgvigil.scratch.server import ScratchServer
from tests.support import managed
from tests.support.checks import Checks
from tests.support.daemons import Api, daemon_in_process
from tests.support.doctors import Doctor
from tests.support.polling import poll
from tests.support.servers import StartServer

TARGET = '[[targets]]\nname = "cloud"\ndsn = "{dsn}"\n'
QUICK = "".join(f'[collectors.{name}]\ninterval = "1s"\n' for name in ("availability", "wal", "checkpoints"))
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
BY_SERVICE = {"not-offered-by-service", "functions-kept-by-service"}
HERE_AS_WELL = {"track-io-timing-off", "track-activity-query-size-small"}
NOT_IN_AURORA = {"wal", "checkpoints"}


@pytest.mark.parametrize("service", managed.PROFILES)
def test_a_look_finds_nothing_and_doubts_nothing(
    service: str, start_server: StartServer, tmp_path: Path
) -> None:
    """What `check` and the doctor say: the service is known, and what it keeps for itself is no doubt."""
    profile = managed.PROFILES[service]
    dsn = managed.stage(start_server(settings=DURABLE), profile)
    with closing(connect(Dsn.parse(dsn))) as session:
        assert session.facts.service == service
        assert {profile.superuser, profile.customers} <= session.facts.service_roles
        assert "pg_ls_waldir()" in session.facts.kept_functions
    checked = Checks(tmp_path).look(Checks(tmp_path).write(dsn))
    assert [each.summary for each in checked.findings if each.level > Level.INFO] == []
    assert [each for each in checked.not_covered if not each.chosen] == []
    unread = {each.collector for each in checked.not_covered if each.rule is None and each.database is None}
    assert (unread >= NOT_IN_AURORA) == profile.unsupported
    doctor = Doctor(tmp_path)
    found = doctor.look(doctor.write(dsn))
    assert {*found.problems} - HERE_AS_WELL <= BY_SERVICE, found.problems
    assert service in found.problems["functions-kept-by-service"].sentence
    assert "GRANT" not in found.problems["functions-kept-by-service"].fix
    assert not any("database" in check for check in found.unseen), "databases of the service are nobody's gap"


def test_the_daemon_says_once_what_is_not_offered_and_tells_no_incident(
    start_server: StartServer, tmp_path: Path
) -> None:
    dsn = managed.stage(start_server(settings=DURABLE), managed.AURORA)
    with daemon_in_process(tmp_path, QUICK + TARGET.format(dsn=dsn)) as daemon:
        poll(lambda: errors(daemon) >= 8, 40, message="what is not offered was asked for again and again")
        target = daemon.target("cloud")
        assert target["up"] is True
        assert target["not_covered"] == {}
        assert target["databases"] == ["app", "postgres"]
        absent = unread(target)
        assert absent.keys() >= NOT_IN_AURORA
        assert all("currently not supported for Aurora" in why for why in absent.values()), absent
        assert told(daemon) == []
        for slug, count in (("not-offered-by-service", len(absent)), ("functions-kept-by-service", 1)):
            said = [event for event in daemon.events("setup_problem") if event["slug"] == slug]
            assert len(said) == count, f"{slug} once each"


def errors(daemon: Api) -> float:
    """How often the one that fails least has failed."""
    start = 'pgvigil_collector_errors_total{collector="%s"'
    return min(daemon.metric(start % name) or 0.0 for name in NOT_IN_AURORA)


def unread(target: dict[str, Any]) -> dict[str, str]:
    """The collectors that failed, and why."""
    return {one["collector"]: one["failure"]["message"] for one in target["collectors"] if one["failure"]}


def told(daemon: Api) -> list[str]:
    return [one["summary"] for one in daemon.incidents() if one["severity"] != "info"]


def test_a_role_of_such_a_name_alone_makes_no_service(own_server: ScratchServer) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as owner:
        owner.execute("CREATE ROLE rds_superuser")
    with closing(connect(Dsn.parse(own_server.dsn()))) as session:
        assert session.facts.service is None
        assert session.facts.service_roles == frozenset()


def test_a_service_that_nobody_knows_is_believed_when_it_says_not_supported(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Whoever runs it: no GRANT would help, and the slug says so."""
    unknown = managed.Profile("", "somebody", "customers", (), (), (), unsupported=True)
    dsn = managed.stage(start_server(settings=DURABLE), unknown)
    doctor = Doctor(tmp_path)
    found = doctor.look(doctor.write(dsn))
    assert "this server does not offer" in found.problems["not-offered-by-service"].sentence
    assert "functions-kept-by-service" not in found.problems
