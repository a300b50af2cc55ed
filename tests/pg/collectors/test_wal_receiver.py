"""wal_receiver: a standby's own account, and nothing of a primary."""

import psycopg

from collectors.wal_receiver import COLLECTOR, WalReceiverReading
from pgvigil.postgres.session import Session
from tests.support.pairs import start_pair, watched
from tests.support.polling import poll
from tests.support.servers import StartServer


def test_a_primary_has_nothing_to_say(reader: Session) -> None:
    assert COLLECTOR.read(reader) == WalReceiverReading()


def test_a_standby_tells_whom_it_follows_and_when_it_no_longer_does(start_server: StartServer) -> None:
    primary, standby = start_pair(start_server)
    with psycopg.connect(standby.dsn(), autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET recovery_min_apply_delay = '2s'")
        admin.execute("SELECT pg_reload_conf()")
    with watched(primary, standby) as (_, there):
        reading = poll(lambda: (found := COLLECTOR.read(there)).streaming and found, 20)
        assert reading.standby is not None
        assert reading.receiver is not None
        assert (reading.standby.follows, reading.standby.application) == (True, "walreceiver")
        assert (reading.standby.slot, reading.standby.paused) == ("", False)
        assert reading.standby.apply_delay_s == 2.0
        assert reading.receiver.sender is not None
        assert reading.receiver.sender.endswith(f":{primary.port}")
        assert reading.receiver.received_timeline == 1
        primary.stop("immediate")
        left = poll(lambda: (found := COLLECTOR.read(there)).receiver is None and found, 20)
        assert left.standby is not None
        assert left.standby.follows
