"""What happens on the stage of the soak, in cycles: faults that must be told, and others that must not."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import psycopg

from daemon.demo import fake_slack_faults as faults
from tests.long.stage import AUX, DATABASES, SHOP, Stage
from tests.support.locks import blocked_session, idle_in_transaction

CYCLE_S = 120.0


class Act(NamedTuple):
    """`play` takes as long as the fault lasts; `at_s` counts from the start of the cycle."""

    at_s: float
    play: Callable[[Stage], None]


def _last(seconds: float) -> None:
    """How long a fault lasts is part of the fault."""
    time.sleep(seconds)


def reset_and_disconnect(stage: Stage) -> None:
    """The statistics are reset and our connections ended: the next turn connects again, nothing is told."""
    with psycopg.connect(stage.main.dsn(DATABASES[0]), autocommit=True) as admin:
        admin.execute("SELECT pg_stat_statements_reset()")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pgvigil'")


def pile_up(stage: Stage) -> None:
    stage.expect("blocking_chain", SHOP)
    dsn = stage.main.dsn(DATABASES[0])
    with idle_in_transaction(dsn, "UPDATE orders SET customer = 1"), ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(blocked_session(dsn, "UPDATE orders SET customer = 1"))
        _last(10)


def forgotten_transaction(stage: Stage, seconds: float = 13) -> None:
    stage.expect("idle_in_transaction", SHOP)
    with idle_in_transaction(stage.main.dsn(DATABASES[1]), "SELECT 1"):
        _last(seconds)


def unproven_constraint(stage: Stage) -> None:
    stage.expect("constraint_not_valid", SHOP)
    with psycopg.connect(stage.main.dsn(DATABASES[2]), autocommit=True) as admin:
        name = f"known_{time.monotonic_ns()}"
        admin.execute(
            f"ALTER TABLE orders ADD CONSTRAINT {name} FOREIGN KEY (customer) REFERENCES customers NOT VALID"
        )
        _last(20)
        admin.execute(f"ALTER TABLE orders VALIDATE CONSTRAINT {name}")
        _last(10)  # a validated one is seen before it goes: going is another way to recover
        admin.execute(f"ALTER TABLE orders DROP CONSTRAINT {name}")


def server_away(stage: Stage) -> None:
    stage.expect("target_down", AUX)
    stage.aux.stop()
    _last(14)
    stage.aux.start_again()


def silence(stage: Stage) -> None:
    stage.expect("target_down", "frozen")
    stage.become("silent", "frozen")
    _last(28)
    stage.become("healthy", "frozen")


def death(stage: Stage) -> None:
    stage.expect("target_down", "dead")
    stage.become("dead", "dead")
    _last(15)
    stage.become("healthy", "dead")


def flapping(stage: Stage) -> None:
    """Never away for as long as the rule asks for."""
    for _ in range(4):
        stage.become("dead", "flapping")
        _last(1.5)
        stage.become("healthy", "flapping")
        _last(3.5)


def slowness(stage: Stage) -> None:
    stage.become("slow", "slow")
    _last(20)
    stage.become("healthy", "slow")


def slack_away(stage: Stage) -> None:
    stage.slack.stop()
    _last(12)
    stage.slack.start()


def slack_limits(stage: Stage) -> None:
    stage.slack.inject("*", faults.rate_limited(2), times=2)


def guest_dies_and_leaves(stage: Stage) -> None:
    """Its incident ends with the target."""
    leaving = stage.newest
    stage.expect("target_down", leaving)
    stage.become("dead", leaving)
    _last(14)
    stage.change_guests()


CYCLE = (
    Act(0, reset_and_disconnect),
    Act(3, pile_up),
    Act(5, silence),
    Act(14, death),
    Act(16, slowness),
    Act(20, flapping),
    Act(26, forgotten_transaction),
    Act(36, unproven_constraint),
    Act(44, server_away),
    Act(62, slack_away),
    Act(63, lambda stage: forgotten_transaction(stage, 20)),
    Act(80, slack_limits),
    Act(81, pile_up),
    Act(84, guest_dies_and_leaves),
)
SHORT_S = 117.0  # everything has been told by then: the stage is quiet, and is measured
