"""The primary of a pair dies while incidents are open, and the standby takes its place."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from daemon.demo.fake_slack import FakeSlack
from daemon.demo.fake_slack_text import as_text
from pgvigil.scratch.server import ScratchServer
from tests.support import oncall
from tests.support.daemons import Api, RunningDaemon, running_daemon
from tests.support.locks import blocked_session, idle_in_transaction
from tests.support.pairs import caught_up, promote, start_pair
from tests.support.polling import poll
from tests.support.proxy import Proxy, proxied
from tests.support.servers import StartServer

CONFIG = """
[collectors.availability]
interval = "1s"

[collectors.activity]
interval = "1s"

[collectors.lock_waits]
interval = "1s"

[collectors.statements]
interval = "1s"

[collectors.constraints]
interval = "2s"

[rules.target_down]
for = "2s"

[rules.blocking_chain]
warning = "1s"

[rules.constraint_not_valid]
for = "0s"
{sink}
[[routes]]
sinks = ["oncall"]

[[targets]]
name = "hosts"
dsn = "host=127.0.0.1,127.0.0.1 port={one},{two} dbname=shop user=postgres target_session_attrs=read-write"
databases = ["shop"]

[[targets]]
name = "address"
dsn = "host=127.0.0.1 port={address} dbname=shop user=postgres"
databases = ["shop"]

[[targets]]
name = "standby"
dsn = "host=127.0.0.1 port={two} dbname=shop user=postgres"
databases = ["shop"]
"""
PAIR = ("hosts", "address")
RULES = ("blocking_chain", "constraint_not_valid", "target_down")
OLD_CALLS, NEW_CALLS = 500, 20


def counted(daemon: Api, target: str) -> float:
    """Calls of all statements of that target together."""
    lines = daemon.get("/metrics")[1].splitlines()
    of_calls = [line for line in lines if line.startswith("pgvigil_query_calls_total")]
    return sum(float(line.rpartition(" ")[2]) for line in of_calls if f'target="{target}"' in line)


def call(server: ScratchServer, times: int) -> None:
    with psycopg.connect(server.dsn("shop"), autocommit=True) as connection:
        for _ in range(times):
            connection.execute("SELECT 'work'")


def set_up(primary: ScratchServer, standby: ScratchServer) -> None:
    """A constraint that was never validated, and counters on the standby that nobody has seen grow."""
    with psycopg.connect(primary.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
    with psycopg.connect(primary.dsn("shop"), autocommit=True) as admin:
        admin.execute("CREATE EXTENSION pg_stat_statements; CREATE TABLE orders (id int PRIMARY KEY)")
        admin.execute("ALTER TABLE orders ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
        admin.execute("INSERT INTO orders SELECT generate_series(1, 10)")
    caught_up(primary, standby)
    call(standby, OLD_CALLS)


@contextmanager
def watched(
    primary: ScratchServer, standby: ScratchServer, slack: FakeSlack, folder: Path
) -> Iterator[tuple[RunningDaemon, Proxy]]:
    with proxied(primary.port) as address:
        config = CONFIG.format(
            sink=oncall.sink(slack, folder), one=primary.port, two=standby.port, address=address.port
        )
        with running_daemon(folder, config, {"NO_PROXY": "127.0.0.1"}) as daemon:
            yield daemon, address


@contextmanager
def piled_up(server: ScratchServer) -> Iterator[None]:
    """Three sessions wait for one that does nothing."""
    dsn = server.dsn("shop")
    with ExitStack() as stack:
        stack.enter_context(idle_in_transaction(dsn, "UPDATE orders SET id = id WHERE id = 1"))
        for _ in range(3):
            stack.enter_context(blocked_session(dsn, "UPDATE orders SET id = id WHERE id = 1"))
        yield


def test_a_failover_is_one_page_a_target_and_every_incident_ends_or_stays_as_it_is(
    start_server: StartServer, slack: FakeSlack, tmp_path: Path
) -> None:
    """By a list of hosts and by an address that moves. The lock pile-up died with its server, the constraint did not."""
    primary, standby = start_pair(start_server)
    set_up(primary, standby)
    with watched(primary, standby, slack, tmp_path) as (daemon, address):
        with piled_up(primary):
            chains = {t: daemon.wait_incident("blocking_chain", "firing", target=t) for t in PAIR}
            kept = {t: daemon.wait_incident("constraint_not_valid", "firing", target=t) for t in PAIR}
            before = {t: poll(lambda t=t: counted(daemon, t), 20) for t in (*PAIR, "standby")}
            primary.kill9()
        for target in PAIR:
            down = daemon.wait_incident("target_down", "firing", target=target)
            unknown = daemon.wait_incident("blocking_chain", "unknown", target=target)
            assert (unknown["id"], unknown["suppressed_by"]) == (chains[target]["id"], down["id"])
        promote(standby)
        address.point_at(standby.port)
        for target in PAIR:
            daemon.wait_incident("target_down", "resolved", target=target)
            ended = daemon.wait_incident("blocking_chain", "resolved", target=target)
            assert ended["id"] == chains[target]["id"]
            assert "its sessions are gone" in ended["reason"]
            poll(lambda t=target: daemon.incidents("constraint_not_valid", "firing", target=t), 20)
            assert daemon.incidents("constraint_not_valid", target=target)[0]["id"] == kept[target]["id"]
            assert daemon.target(target)["in_recovery"] is False
        call(standby, NEW_CALLS)
        for target in PAIR:
            poll(lambda t=target: counted(daemon, t) >= before[t] + NEW_CALLS, 20)
            assert counted(daemon, target) < before[target] + OLD_CALLS
        told_once(daemon, slack)
        the_standby_was_well(daemon)


def of_the_fault(daemon: Api, *targets: str) -> list[tuple[str, str]]:
    """Target and rule; that another server answers, with another timeline and other settings, is told by other rules."""
    found = [(one["target"], one["rule"]) for one in daemon.incidents()]
    return [(target, rule) for target, rule in found if target in targets and rule in RULES]


def told_once(daemon: Api, slack: FakeSlack) -> None:
    """A target has its three incidents, each with one message; those that ended say so."""
    found = sorted(of_the_fault(daemon, *PAIR))
    assert found == sorted((target, rule) for target in PAIR for rule in RULES)

    def roots() -> list[str]:
        texts = map(as_text, slack.roots())
        return [text for text in texts if any(rule in text for rule in RULES)]

    poll(lambda: sum("Resolved" in root for root in roots()) == 4, 20)
    assert len(roots()) == len(found) + len(of_the_fault(daemon, "standby"))
    assert not any("duplicate" in as_text(message) for message in slack.messages())


def the_standby_was_well(daemon: RunningDaemon) -> None:
    """To who watches it alone it was promoted, and nothing else."""
    assert daemon.target("standby")["in_recovery"] is False
    assert of_the_fault(daemon, "standby") == [("standby", "constraint_not_valid")]
    assert [c for c in daemon.target("standby")["collectors"] if c["missed_ticks"]] == []
    assert not daemon.events("job_failed")
