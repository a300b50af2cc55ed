"""Where a server is and who we are there: a type that never shows its secrets."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

_SHOWN = ("host", "hostaddr", "port", "dbname", "user")
_SECRET = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
# Each of a list of hosts may have one; libpq complains of it only when it connects.
_PORT = re.compile(
    r"(?:|0*(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))", re.ASCII
)
_UNKNOWN_OPTION = re.compile(r'invalid (?:connection option|URI query parameter):? "([a-z_]{3,40})"')

# Our sessions are read-only by their own options, so libpq's test for a writable session would never pass.
_BY_ROLE = {"read-write": "primary", "read-only": "standby"}


class OptionError(ValueError):
    """Its text names an option and what is wrong with it, and holds nothing of any value."""


@dataclass(frozen=True, slots=True, repr=False)
class Dsn:
    """Connection parameters as libpq knows them. `repr` and `str` show host, port, database and user only.

    `password` is asked at every connect, so that a rotated password is used without a restart.
    """

    _given: Mapping[str, str]
    password: Callable[[], str] | None = None

    @classmethod
    def parse(cls, text: str, *, password: Callable[[], str] | None = None) -> "Dsn":
        """From `key=value` pairs or a `postgresql://` URL. Raises ValueError, whose text quotes nothing of it."""
        try:
            given = {key: str(value) for key, value in conninfo_to_dict(text).items()}
        except psycopg.Error as error:
            raise _refusal(str(error)) from None
        if "service" in given:
            raise ValueError("service= is not supported: write host, port, dbname and user out")
        if not all(_PORT.fullmatch(port) for port in given.get("port", "").split(",")):
            raise OptionError("port is not a number from 1 to 65535")
        return cls(MappingProxyType(given), password)

    def with_database(self, name: str) -> "Dsn":
        """The same server and role, another database."""
        return Dsn(MappingProxyType({**self._given, "dbname": name}), self.password)

    @property
    def database(self) -> str | None:
        """The database that the text names; None leaves the choice to libpq (the role's name)."""
        return self._given.get("dbname")

    @property
    def user(self) -> str:
        """The role that the text names; "" leaves the choice to libpq."""
        return self._given.get("user", "")

    def parameters(self) -> dict[str, str]:
        """All that decides where libpq connects to, the environment (PGHOST ...) included. Holds secrets."""
        parameters = {**_environment(), **self._given}
        role = parameters.get("target_session_attrs", "")
        if role in _BY_ROLE:
            parameters["target_session_attrs"] = _BY_ROLE[role]
        return parameters

    def secrets(self) -> tuple[str, ...]:
        """Values that must not appear in any text."""
        return tuple(self._given[key] for key in _SECRET if self._given.get(key))

    def __repr__(self) -> str:
        shown = " ".join(f"{key}={self._given[key]}" for key in _SHOWN if key in self._given)
        return f"Dsn({shown})"

    __str__ = __repr__


def _refusal(said: str) -> ValueError:
    """Names the option that libpq does not know, where it is nearly one that it knows: anything else may be a part
    of a password with a space or an equals sign in it.
    """
    unknown = _UNKNOWN_OPTION.search(said)
    known = [option.keyword.decode() for option in pq.Conninfo.get_defaults()]
    close = get_close_matches(unknown[1], known, n=1, cutoff=0.7) if unknown else []
    if unknown and close:
        return OptionError(f'libpq has no option "{unknown[1]}"; did you mean "{close[0]}"?')
    return ValueError(
        "not a connection string that libpq understands: write key=value pairs (values with spaces in single quotes)"
        " or a connection URL"
    )


def _environment() -> dict[str, str]:
    """host, hostaddr and port as the environment gives them: names must be resolved before libpq sees them."""
    return {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.get_defaults()
        if option.keyword in {b"host", b"hostaddr", b"port", b"target_session_attrs"} and option.val
    }
