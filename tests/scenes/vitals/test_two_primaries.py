"""two_primaries: a standby promoted beside its living primary is split brain; a clone that never streamed is none."""

from collections.abc import Callable
from contextlib import closing

from pgvigil.model.level import Level
from tests.support import watching
from tests.support.pairs import promote, start_pair, watched
from tests.support.polling import poll
from tests.support.servers import StartServer
from tests.support.vitals import Vitals

CLUSTER = {"two_primaries": {}}


def test_a_standby_promoted_beside_its_primary_is_split_brain(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    """Told once, by the one that was promoted; over when the other is no primary any more."""
    primary, standby = start_pair(start_server)
    db1 = vitals(CLUSTER, target="db1")
    db2 = vitals(CLUSTER, target="db2", peers=lambda: (db1.as_peer,))
    apart = vitals({"two_primaries": {"apart": ["db1*"]}}, target="db3", peers=lambda: (db1.as_peer,))
    with watched(primary, standby) as (here, there):
        db1.look(here)
        db2.look(there)
        assert db2.open == {}
        promote(standby)
        for after_s in (10, 20, 20):
            db1.look(here, after_s=after_s)
            db2.look(there, after_s=after_s)
            apart.look(there, after_s=after_s)
        told = db2.firing["primary db1"]
        assert told.severity is Level.CRITICAL
        assert told.summary == "Split brain: db2 was promoted, and db1 of the same cluster is a primary too"
        assert (db1.open, apart.open) == ({}, {})
        db1.wait(3600)
        db2.look(there, after_s=3600)  # what db1 is by now is not known
        assert db2.open["primary db1"].state.value == "unknown"
        db1.look(there)  # its address leads to the other one now
        db2.look(there, after_s=1)
        assert db2.open == {}


def test_a_clone_that_never_streamed_and_a_second_address_are_none(
    start_server: StartServer, vitals: Callable[..., Vitals]
) -> None:
    primary, clone = start_pair(start_server)
    clone.stop()
    (clone.data / "standby.signal").unlink()
    clone.start_again()
    db1 = vitals(CLUSTER, target="db1")
    db2 = vitals(CLUSTER, target="db2", peers=lambda: (db1.as_peer,))
    again = vitals(CLUSTER, target="vip", peers=lambda: (db1.as_peer,))
    with closing(watching.watch(primary.dsn())) as here, closing(watching.watch(clone.dsn())) as there:
        poll(lambda: not there.rediscover().in_recovery, 20)
        for _ in range(3):
            db1.look(here, after_s=20)
            db2.look(there, after_s=20)
            again.look(here, after_s=20)
        assert here.facts.system_identifier == there.facts.system_identifier
    assert (db2.open, again.open) == ({}, {})
