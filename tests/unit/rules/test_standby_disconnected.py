"""standby_disconnected: when silence of the sender is trouble."""

from dataclasses import replace

import pytest

from alerts.rules.standby_disconnected import RULE
from collectors.wal_receiver import Receiver, Standby, WalReceiverReading
from tests.support.readings import context, snapshot
from tests.support.views import facts

STANDBY = Standby(True, "b", "", 100, 100, 0, 1.0, False, 0.0)


@pytest.mark.parametrize(
    ("timeout_ms", "silent_for_s", "told"),
    [
        ("60000", 100.0, False),
        ("60000", 200.0, True),
        ("600000", 400.0, False),  # the standby asks after five minutes
        ("600000", 700.0, True),
        ("0", 86_400.0, False),  # it never asks, and an idle primary has nothing to say
    ],
)
def test_silence_counts_from_when_the_standby_has_asked(
    timeout_ms: str, silent_for_s: float, told: bool
) -> None:
    here = replace(facts(), in_recovery=True, settings={"wal_receiver_timeout": timeout_ms})
    receiver = Receiver("streaming", "db1", 1, 0, silent_for_s)
    reading = snapshot(WalReceiverReading(standby=STANDBY, receiver=receiver), "wal_receiver")
    judgement = RULE.evaluate(reading, RULE.params(), context(facts=here))
    assert bool(judgement.findings) is told
