"""A server that has no slot left is saturated, not down."""

from contextlib import ExitStack, closing
from pathlib import Path

import psycopg

from tests.support.daemons import running_daemon
from tests.support.polling import poll
from tests.support.servers import StartServer

CONFIG = """
[[targets]]
name = "shop"
dsn = "{dsn}"

[rules.connection_saturation]
for = "0s"
keep_firing_for = "0s"

[rules.target_down]
for = "0s"
"""


def test_a_refusal_for_want_of_a_slot_is_saturation_and_ends_when_slots_are_free(
    start_server: StartServer, tmp_path: Path
) -> None:
    """Refused from the start, then let in: critical, told with the server's words, and resolved by counting."""
    server = start_server(settings={"max_connections": "13", "superuser_reserved_connections": "3"})
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("CREATE ROLE watch LOGIN IN ROLE pg_monitor; CREATE ROLE app LOGIN")
    with ExitStack() as applications:
        for _ in range(10):
            applications.enter_context(closing(psycopg.connect(server.dsn(user="app"))))
        with running_daemon(tmp_path, CONFIG.format(dsn=server.dsn(user="watch"))) as daemon:
            refused = daemon.wait_incident("connection_saturation", "firing")
            assert refused["severity"] == "critical"
            assert "slot" in str(refused["evidence"])
            assert daemon.target("shop")["up"] is False
            assert daemon.incidents("target_down") == []
            applications.close()
            daemon.wait_incident("connection_saturation", "resolved", 60)
            poll(lambda: daemon.target("shop")["up"] is True, 30)
            assert daemon.incidents("target_down") == []
            assert [each["id"] for each in daemon.incidents("connection_saturation")] == [refused["id"]]
