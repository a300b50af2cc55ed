"""What pgvigil ships of PostgreSQL's releases."""

from itertools import pairwise

import pytest

from pgvigil.releases import parse, releases, split

FILE = """
as_of = 2026-08-31
[[releases]]
date = 2026-05-14
security = true
minors = { 15 = 18 }
[[releases]]
date = 2026-08-13
security = false
minors = { 15 = 19 }
[end_of_life]
15 = 2027-11-11
"""


def test_the_file_is_in_order() -> None:
    known = releases()
    assert known.minors.keys() <= known.end_of_life.keys()
    for minors in known.minors.values():
        assert all(newer.date > older.date and newer.minor > older.minor for newer, older in pairwise(minors))
        assert minors[0].date <= known.as_of


def test_what_a_server_lacks_is_the_newest_first() -> None:
    known = parse(FILE)
    assert [each.minor for each in known.missed(150017)] == [19, 18]
    assert [(each.minor, each.security) for each in known.missed(150018)] == [(19, False)]


@pytest.mark.parametrize("version_num", [150019, 150020, 160000, 190001])
def test_what_is_newer_than_the_file_lacks_nothing(version_num: int) -> None:
    assert parse(FILE).missed(version_num) == ()


def test_a_version_is_split_as_since_ten() -> None:
    assert split(180006) == (18, 6)
