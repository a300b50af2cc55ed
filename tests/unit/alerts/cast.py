"""The findings that the stories are made of."""

from pgvigil.model.evidence import Evidence
from pgvigil.model.finding import query_key
from pgvigil.model.level import Level
from tests.unit.alerts.acting import finding

ROOT, VICTIM = "session 8123@t", "session 9001@t"
CHAIN = finding(
    "blocking_chain",
    ROOT,
    summary="23 sessions blocked 31s by pid 8123",
    about=frozenset({ROOT}),
    explains=frozenset({ROOT, VICTIM, query_key(7)}),
    evidence=Evidence(notes=("root is idle",)),
)
IDLE = finding(
    "idle_in_transaction",
    ROOT,
    summary="Idle in transaction for 5m: pid 8123",
    about=frozenset({ROOT}),
    explains=frozenset({ROOT}),
)
LONG = finding("long_transaction", ROOT, summary="Open for 30m: pid 8123", about=frozenset({ROOT}))
SLOW = finding("slow_query", "statement 7", summary="UPDATE orders: 40s", about=frozenset({query_key(7)}))
DOWN = finding("target_down", "server", Level.CRITICAL, summary="No query is answered: refused")
