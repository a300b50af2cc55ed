"""Databases come, go, and refuse; what matches and cannot be read is not covered, never forgotten."""

from daemon.following import Following
from pgvigil.postgres.databases import Database


def database(
    name: str,
    *,
    connectable: bool = True,
    template: bool = False,
    privilege: bool = True,
    invalid: bool = False,
    limit_zero: bool = False,
    of_service: bool = False,
) -> Database:
    return Database(
        oid=sum(map(ord, name)),
        name=name,
        connectable=connectable,
        template=template,
        has_connect_privilege=privilege,
        invalid=invalid,
        limit_zero=limit_zero,
        of_service=of_service,
    )


def anything(_name: str) -> bool:
    return True


def test_only_wanted_databases_are_followed() -> None:
    following = Following(lambda name: name.startswith("shop"))
    following.update([database("shop"), database("other"), database("shop2")])
    assert following.followed == ("shop", "shop2")


def test_new_and_dropped_databases_are_told_once() -> None:
    following = Following(anything)
    assert following.update([database("a"), database("b")]).appeared == ("a", "b")
    assert following.update([database("a"), database("b")]).appeared == ()
    change = following.update([database("b"), database("c")])
    assert (change.appeared, change.dropped) == (("c",), ("a",))


def test_templates_are_followed_only_by_name() -> None:
    following = Following(anything)
    following.update([database("template1", template=True)])
    assert following.followed == ()
    named = Following(anything, named=["template1"])
    named.update([database("template1", template=True)])
    assert named.followed == ("template1",)


def test_what_cannot_be_read_is_said_with_its_reason() -> None:
    following = Following(anything)
    following.update([database("a"), database("b")])
    change = following.update([database("a", connectable=False), database("b", privilege=False)])
    assert change.dropped == ()
    assert following.followed == ()
    assert set(following.not_covered) == {"a", "b"}
    assert "allow connections" in following.not_covered["a"]
    assert "CONNECT" in following.not_covered["b"]
    assert following.update([]).dropped == ("a", "b")


def test_a_database_that_is_no_longer_wanted_is_let_go() -> None:
    """It became a template: it is there, and nobody looks into it any more."""
    following = Following(anything)
    following.update([database("a"), database("b")])
    change = following.update([database("a"), database("b", template=True)])
    assert (change.dropped, following.followed) == (("b",), ("a",))


def test_a_template_that_becomes_a_database_is_followed() -> None:
    following = Following(anything)
    following.update([database("a", template=True)])
    assert following.update([database("a")]).appeared == ("a",)


def test_what_nobody_can_use_is_said_for_what_it_is() -> None:
    following = Following(anything)
    following.update([database("half", invalid=True, connectable=True), database("shut", limit_zero=True)])
    assert following.followed == ()
    assert "interrupted DROP DATABASE" in following.not_covered["half"]
    assert "CONNECTION LIMIT" in following.not_covered["shut"]
    assert following.closed == (), "no GRANT would help"


def test_what_a_managed_service_keeps_for_itself_is_nobodys_gap_unless_it_is_named() -> None:
    listed = [database("rdsadmin", privilege=False, of_service=True), database("app")]
    following = Following(anything)
    following.update(listed)
    assert (following.followed, following.not_covered) == (("app",), {})
    named = Following(anything, named=["*", "rdsadmin"])
    named.update(listed)
    assert set(named.not_covered) == {"rdsadmin"}
