"""The text of a statement, as real servers keep it."""

from datetime import UTC, datetime

from collectors.statements import COLLECTOR
from pgvigil.model.moment import Moment
from pgvigil.sql.redact import TEXT_CHARS
from pgvigil.sql.statement import is_own
from pgvigil.statements import keys
from queries.texts import OWN, TextKey, Texts, fetch
from tests.pg.statements.conftest import Watched

KNOWN = "SELECT work.known($1)"


class Store:
    def get(self, _target: str, _keys: object) -> dict[TextKey, str]:
        return {}

    def put(self, _target: str, _texts: object) -> None: ...


def every_key(watched: Watched) -> set[TextKey]:
    return {key[:3] for key in keys(COLLECTOR.read(watched.session).entries)}


def test_texts_come_normalised_and_utility_statements_lose_their_data(watched: Watched) -> None:
    watched.run(
        "SELECT work.known(42) /* 4111 */",
        "CREATE ROLE somebody PASSWORD 's3cr3t'",
        "DROP ROLE somebody",
        "DO $$ BEGIN PERFORM 's3cr3t'; END $$",
        "SET application_name = s3cr3t",
    )
    texts = set(fetch(watched.session, every_key(watched)).values())
    assert KNOWN in texts
    assert "CREATE ROLE somebody PASSWORD $1" in texts
    assert "SET application_name = $1" in texts
    assert not any("s3cr3t" in text or "4111" in text for text in texts)


def test_our_own_queries_are_marked_as_ours(watched: Watched) -> None:
    keys_of_all = every_key(watched)
    watched.run("SELECT work.fresh(1)")
    texts = fetch(watched.session, keys_of_all | every_key(watched))
    assert OWN in texts.values()
    assert not any("array_agg" in text for text in texts.values())
    assert all(is_own(text) or "pgvigil" not in text for text in texts.values())


def test_a_text_of_five_megabytes_stays_small(watched: Watched) -> None:
    watched.run(f"SELECT work.known(1) /* {'x' * 5_000_000} */ + 1")
    watched.run(f"SELECT work.known(1), a.* FROM (VALUES (1){', (1)' * 40_000}) AS a")
    texts = fetch(watched.session, every_key(watched))
    long = [text for text in texts.values() if text.startswith("SELECT work.known($1)") and text != KNOWN]
    assert len(long) == 2
    assert all(len(text) <= TEXT_CHARS and text.endswith("…") for text in long)


def test_the_cache_learns_what_was_asked_for(watched: Watched) -> None:
    wanted = every_key(watched)
    cache = Texts("orders-prod", Store())
    assert all(cache(*key) is None for key in wanted)
    cache.refresh(watched.session, Moment(datetime.now(UTC), 0.0))
    assert KNOWN in {cache(*key) for key in wanted}
