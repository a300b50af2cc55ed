"""Names and texts as we write them are read by real servers as what they were."""

import pytest

from pgvigil.sql.identifiers import quote_identifier, quote_name, quote_text
from tests.support.servers import Database

HARD = [
    "a b",
    'a"b',
    "a\\b",
    "a\u202eb",
    "a\nb",
    "Größe",
    "tag\U000e0001",
    "U&x",
    "%s",
    "a'b",
    "$1",
    "\u200b",
]


def test_every_word_that_the_server_quotes_is_quoted(each_database: Database) -> None:
    """Keywords of another version are at worst quoted without need."""
    quoted = each_database.execute("SELECT word FROM pg_get_keywords() WHERE quote_ident(word) <> word")
    assert quoted
    assert [word for (word,) in quoted if quote_identifier(word) == word] == []


@pytest.mark.parametrize("name", HARD)
def test_a_hard_name_is_the_same_name_again(name: str, each_database: Database) -> None:
    with each_database.connect() as connection:
        connection.execute(f"CREATE TABLE {quote_name('public', name)} (id int)", prepare=False)
        stored = connection.execute("SELECT relname FROM pg_class WHERE relname = %s", [name]).fetchall()
    assert stored == [(name,)]


@pytest.mark.parametrize("text", HARD)
def test_a_hard_text_is_the_same_text_again(text: str, each_database: Database) -> None:
    with each_database.connect() as connection:
        assert connection.execute(f"SELECT {quote_text(text)}", prepare=False).fetchone() == (text,)
