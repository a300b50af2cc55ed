"""Typed values that only the configuration has: an address, and a URL that may hold a password."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_settings import NoDecode

from pgvigil.postgres.dsn import Dsn
from pgvigil.postgres.passwords import PasswordCommand, PasswordFile
from pgvigil.redact import redact


class Address(NamedTuple):
    """Where pgvigil listens."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: Any) -> Address:
    """An address from `"127.0.0.1:9642"`, `"[::1]:9642"`, `"localhost:9642"`."""
    host, colon, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    bare = host.removeprefix("[").removesuffix("]")
    if not (colon and bare and port.isdecimal()) or (":" in bare) != host.startswith("["):
        raise ValueError('not an address; write host:port, such as "127.0.0.1:9642" or "[::1]:9642"')
    if int(port) > 65535:
        raise ValueError("the port must be at most 65535")
    return Address(bare, int(port))


_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")


def parse_host_name(value: Any) -> str:
    """A host name, without scheme and port."""
    if not isinstance(value, str) or len(value) > 254 or not _HOST_NAME.fullmatch(value):
        raise ValueError(
            'not a host name; write the name alone, such as "pgvigil.example.com", without scheme and port'
        )
    return value


class Url:
    """A URL that never shows the password in it: only `reveal()` does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Url) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return redact(self._text)

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"


def _url(*schemes: str) -> BeforeValidator:
    def parse(value: Any) -> Url:
        scheme, mark, rest = value.partition("://") if isinstance(value, str) else ("", "", "")
        if value != "" and not (scheme in schemes and mark and rest):
            raise ValueError("must begin with " + " or ".join(f"{scheme}://" for scheme in schemes))
        return Url(value)

    return BeforeValidator(lambda value: value if isinstance(value, Url) else parse(value))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - the validator turns ValueErrors into errors with a place
    return value


def _command(value: Any) -> PasswordCommand:
    if not isinstance(value, str) and not (
        isinstance(value, list) and all(isinstance(part, str) for part in value)
    ):
        raise ValueError("must be a command line, or a list of a program and its arguments")
    return PasswordCommand.parse(value)


_AS_TEXT = PlainSerializer(str, return_type=str)

ListenAddress = Annotated[
    Address,
    BeforeValidator(lambda value: value if isinstance(value, Address) else parse_address(value)),
    _AS_TEXT,
    WithJsonSchema({"type": "string", "format": "pgvigil-address"}),
]
WebUrl = Annotated[Url, _url("http", "https"), _AS_TEXT, WithJsonSchema({"type": "string", "format": "uri"})]
HostName = Annotated[
    str, BeforeValidator(parse_host_name), WithJsonSchema({"type": "string", "format": "hostname"})
]
HostNames = Annotated[  # in an environment variable, where a list is one text: separated by commas
    tuple[HostName, ...],
    NoDecode,
    BeforeValidator(
        lambda value: [part.strip() for part in value.split(",")] if isinstance(value, str) else value
    ),
]
StoreUrl = Annotated[
    Url, _url("sqlite", "postgresql"), _AS_TEXT, WithJsonSchema({"type": "string", "format": "uri"})
]

DsnText = Annotated[
    Dsn,
    BeforeValidator(lambda value: value if isinstance(value, Dsn) else Dsn.parse(_text(value))),
    _AS_TEXT,
    WithJsonSchema({"type": "string"}),
]
PasswordFileText = Annotated[
    PasswordFile,
    BeforeValidator(
        lambda value: value if isinstance(value, PasswordFile) else PasswordFile(Path(_text(value)))
    ),
    WithJsonSchema({"type": "string", "format": "path"}),
]
PasswordCommandText = Annotated[
    PasswordCommand,
    BeforeValidator(lambda value: value if isinstance(value, PasswordCommand) else _command(value)),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]
