"""The types of columns, and the one collection of tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, MetaData, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from pgvigil.model.action import ActionKind, Door
from pgvigil.model.delivery import DeliveryStatus
from pgvigil.model.digest import DigestCause, DigestStatus
from pgvigil.model.incident import State
from pgvigil.model.level import Level
from pgvigil.store import codec

T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"
REVISION = "0017"  # what this program reads and writes; the newest file of the migrations

METADATA = MetaData()


class Coded(TypeDecorator[T], Generic[T]):
    """A column whose Python value is `decode(what is stored)`; NULL is None."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True

    def __init__(
        self, stored: TypeEngine[Any], encode: Callable[[T], Any], decode: Callable[[Any], T]
    ) -> None:
        super().__init__()
        self.stored = stored
        self.encode = encode
        self.decode = decode
        self.impl = stored

    def process_bind_param(self, value: T | None, dialect: Dialect) -> Any:  # noqa: ARG002 - SQLAlchemy's shape
        return None if value is None else self.encode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:  # noqa: ARG002 - same
        return None if value is None else self.decode(value)


STAMP = Coded(BigInteger(), codec.micros_of, codec.stamp_of)
TEXT = Coded(Text(), codec.storable, codec.restored)
LEVEL = Coded(Integer(), int, Level)
STATE = Coded(Text(), str, State)
STATUS = Coded(Text(), str, DeliveryStatus)
ACTION_KIND = Coded(Text(), str, ActionKind)
DOOR = Coded(Text(), str, Door)
DIGEST_STATUS = Coded(Text(), str, DigestStatus)
DIGEST_CAUSE = Coded(Text(), str, DigestCause)
EVIDENCE = Coded(Text(), codec.evidence_json, codec.evidence_of)
STEPS = Coded(Text(), codec.steps_json, codec.steps_of)
KEYS = Coded(Text(), codec.keys_json, codec.keys_of)
LABELS = Coded(Text(), codec.labels_json, codec.labels_of)
SIGHTS = Coded(Text(), codec.sights_json, codec.sights_of)
TOLD = Coded(Text(), codec.told_json, codec.told_of)
KNOWN = Coded(Text(), codec.known_json, codec.known_of)
REMOTE = Coded(Text(), codec.remote_json, codec.remote_of)
