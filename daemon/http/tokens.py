"""Tokens with a name: who may do what through the API. Only their hashes are known here."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class May(StrEnum):
    READ = "read"
    ACT = "act"
    SILENCE = "silence"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whoever shows the token with that hash (SHA-256, hexadecimal)."""

    name: str
    sha256: str
    may: frozenset[May]


def hash_of(token: str) -> str:
    """What the configuration holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def holder_of(credentials: bytes, holders: Iterable[Holder]) -> Holder | None:
    """Whose token it is. Takes as long whoever it is: all are compared, each in constant time."""
    shown = hashlib.sha256(credentials).hexdigest()
    found = None
    for holder in holders:
        if hmac.compare_digest(shown, holder.sha256):
            found = holder
    return found
