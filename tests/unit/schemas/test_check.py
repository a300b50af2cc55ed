"""The header of a check: read strictly, and every error says where."""

import pytest

from schemas.catalogue import checks
from schemas.check import Check, HeaderError, Limit, parse

GOOD = """\
-- meaning: What a row means,
--   and how bad it is.
-- severity: info
-- for: 1h30m
-- why: Because.
-- evidence: What is shown.
-- what_to_do: Drop it.
-- tell_from: min_size = 10MB of size_bytes: Smaller ones are not told of.
-- know_from: min_window = 30d of window_s: Before that nobody knows.
-- warn_from: many = 1000 of deletes: From here on it is a warning.
-- needs: pg_index.indisvalid, pg_class.relpages
-- on_standbys: confirm
SELECT 1 AS one -- a comment; of no matter
FROM pg_class WHERE relname ~ '^pg_%';
"""


def test_a_header_says_everything_about_its_check() -> None:
    assert parse("good", GOOD) == Check(
        name="good",
        meaning="What a row means, and how bad it is.",
        severity="info",
        for_s=5400.0,
        why="Because.",
        evidence="What is shown.",
        what_to_do="Drop it.",
        how_to_look="SELECT 1 AS one -- a comment; of no matter\nFROM pg_class WHERE relname ~ '^pg_%';",
        sql="SELECT 1 AS one -- a comment; of no matter\nFROM pg_class WHERE relname ~ '^pg_%'",
        needs=("pg_index.indisvalid", "pg_class.relpages"),
        confirmed_by_standbys=True,
        limits=(
            Limit(
                comparison="tell_from",
                key="min_size",
                default="10MB",
                measure="size_bytes",
                words="Smaller ones are not told of.",
            ),
            Limit(
                comparison="know_from",
                key="min_window",
                default="30d",
                measure="window_s",
                words="Before that nobody knows.",
            ),
            Limit(
                comparison="warn_from",
                key="many",
                default="1000",
                measure="deletes",
                words="From here on it is a warning.",
            ),
        ),
    )


def test_the_unit_of_a_limit_is_that_of_its_measure() -> None:
    assert [limit.default_value for limit in parse("good", GOOD).limits] == [
        10 * 1024**2,
        30 * 86400.0,
        1000.0,
    ]


def test_the_way_to_look_may_differ_from_the_query() -> None:
    other = "-- how_to_look:\n--   SELECT 2\n--     FROM t;\n"
    assert parse("good", other + GOOD).how_to_look == "SELECT 2\nFROM t;"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "-- severity: info",
            "-- sevrity: info",
            "good.sql, line 3: unknown key 'sevrity'; there are meaning,",
        ),
        ("-- severity: info\n", "", "good.sql: the header lacks severity"),
        ("-- why: Because.\n-- evidence", "-- evidence", "good.sql: the header lacks why"),
        (
            "severity: info",
            "severity: bad",
            "line 3: severity must be info or warning or critical, and it is 'bad'",
        ),
        ("for: 1h30m", "for: 90", "line 4: for: '90' is not a duration"),
        ("-- why: Because.", "-- why:", "line 5: why says nothing"),
        ("-- why: Because.", "-- severity: info", "line 5: severity stands here again; it is on line 3"),
        ("-- why: Because.", "-- Because.", "line 5: neither '-- key: text' nor more of the text above"),
        ("min_size = 10MB of", "min_size 10MB of", "line 8: tell_from must be 'key = value of measure: "),
        ("10MB of size_bytes", "10 of size_bytes", "line 8: '10' is not a size"),
        ("1000 of deletes", "many of deletes", "line 10: could not convert string to float: 'many'"),
        ("min_window = 30d", "min_size = 30d", "line 9: the rule has a key 'min_size' already"),
        ("many = 1000", "ignore = 1000", "line 10: the rule has a key 'ignore' already"),
        ("pg_class.relpages", "relpages", "line 11: needs names relation.column, and 'relpages' is none"),
        ("confirm", "ask", "line 12: on_standbys must be confirm, and it is 'ask'"),
        ("'^pg_%';", "'^pg_%'", "good.sql: the query must end with a semicolon"),
        (
            "FROM pg_class",
            "FROM pg_indexes",
            "line 14: pg_indexes opens relations; read the catalogue instead",
        ),
        ("SELECT 1 AS one", "SELECT pg_relation_size(1)", "line 13: pg_relation_size opens relations"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(HeaderError) as raised:
        parse("good", GOOD.replace(old, new, 1))
    assert complaint in str(raised.value)


def test_a_header_alone_is_no_check() -> None:
    with pytest.raises(HeaderError, match=r"good\.sql: there is no query after the header"):
        parse("good", "-- meaning: It.\n")


def test_a_name_must_be_fit_for_a_section() -> None:
    with pytest.raises(HeaderError, match="in lower case"):
        parse("Good-check", GOOD)


def test_every_file_is_a_check() -> None:
    assert "duplicate_index" in checks()
    assert list(checks()) == sorted(checks())
