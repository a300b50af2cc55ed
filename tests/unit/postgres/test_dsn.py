"""Connection strings keep their secrets."""

import dataclasses

import pytest

from pgvigil.postgres.dsn import Dsn

URL = "postgresql://watch:hunter2@db1,db2:6432/orders?sslmode=verify-full&sslpassword=keypass"


def test_repr_and_str_and_format_show_the_place_and_no_secret() -> None:
    dsn = Dsn.parse(URL)
    for text in (repr(dsn), str(dsn), f"{dsn}", repr([dsn]), repr({"dsn": dsn})):
        assert "Dsn(host=db1,db2 port=,6432 dbname=orders user=watch)" in text
        assert "hunter2" not in text
        assert "keypass" not in text


def test_secrets_are_named_so_that_texts_can_be_cleaned() -> None:
    assert set(Dsn.parse(URL).secrets()) == {"hunter2", "keypass"}


@pytest.mark.parametrize(
    "text",
    ["host=db1 password=my secret words", "postgresql://u:se cret@[", "host=x password=secret secret=1"],
)
def test_a_malformed_text_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match="key=value pairs") as caught:
        Dsn.parse(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["passwort=hunter2 host=x", "postgresql://u:hunter2@h/db?passwort=hunter2"])
def test_a_misspelt_option_is_named_and_nothing_of_its_value(text: str) -> None:
    with pytest.raises(ValueError, match='no option "passwort"; did you mean "password"') as caught:
        Dsn.parse(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("port", ["port", "0", "65536", "5432,x", "-1"])
def test_a_port_that_is_none_is_refused_before_anybody_connects(port: str) -> None:
    with pytest.raises(ValueError, match="port is not a number from 1 to 65535"):
        Dsn.parse(f"host=a,b port={port} password=hunter2")


@pytest.mark.parametrize("text", ["host=a", "port=5432", "host=a,b port=5432,65535", "host=a,b port=,6432"])
def test_ports_may_be_several_or_left_out(text: str) -> None:
    assert Dsn.parse(text).parameters()


def test_a_service_is_refused_because_libpq_would_resolve_its_host() -> None:
    with pytest.raises(ValueError, match="service= is not supported"):
        Dsn.parse("service=orders")


def test_another_database_keeps_everything_else() -> None:
    dsn = Dsn.parse("host=db1 user=watch dbname=postgres", password=lambda: "x")
    other = dsn.with_database("it's odd \\ name")
    assert (dsn.database, other.database) == ("postgres", "it's odd \\ name")
    assert other.password is dsn.password
    assert {**other.parameters(), "dbname": "postgres"} == dsn.parameters()


def test_the_environment_names_the_host_as_for_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "from-environment")
    monkeypatch.setenv("PGPORT", "6543")
    assert Dsn.parse("user=x").parameters()["host"] == "from-environment"
    assert Dsn.parse("user=x host=own").parameters() | {"target_session_attrs": ""} == {
        "user": "x",
        "host": "own",
        "port": "6543",
        "target_session_attrs": "",
    }


@pytest.mark.parametrize(
    ("given", "asked"), [("read-write", "primary"), ("read-only", "standby"), ("primary", "primary")]
)
def test_our_read_only_sessions_do_not_decide_what_counts_as_writable(given: str, asked: str) -> None:
    dsn = Dsn.parse(f"host=a,b target_session_attrs={given}")
    assert dsn.parameters()["target_session_attrs"] == asked


def test_a_dsn_cannot_be_changed() -> None:
    dsn = Dsn.parse("host=a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        dsn.password = lambda: "x"  # type: ignore[misc]
