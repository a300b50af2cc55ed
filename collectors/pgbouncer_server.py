"""What a PgBouncer is and how it is configured: version, state and settings, with a journal of what changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgvigil.model.kind import TargetKind
from pgvigil.plugins import Collector, Family, LaneKind, Reader
from pgvigil.postgres.console import CONFIG, VERSION

# Values that may hold a secret (LDAP's bind password), or a query that somebody wrote: that they changed is all.
_NOT_SHOWN = ("auth_query", "auth_ldap")

VERSION_KEY = "version"  # in the journal; every other key is a setting's


@dataclass(frozen=True, slots=True, kw_only=True)
class PgbouncerReading:
    """`settings` have those that can be shown."""

    version: str
    settings: Mapping[str, str]


def read(reader: Reader) -> PgbouncerReading:
    """Raises `pgvigil.postgres.errors.ReadError`."""
    version = reader.rows(VERSION)[0].version
    settings = {row.key: row.value or "" for row in reader.rows(CONFIG)}
    return PgbouncerReading(
        version=version.removeprefix("PgBouncer ").strip(),
        settings={key: value for key, value in settings.items() if not key.startswith(_NOT_SHOWN)},
    )


def _journal(reading: PgbouncerReading) -> Mapping[str, str]:
    return {f"setting {key}": value for key, value in reading.settings.items()} | {
        VERSION_KEY: reading.version
    }


def _limit(key: str) -> Any:
    def value(reading: PgbouncerReading) -> float | None:
        text = reading.settings.get(key, "")
        return float(text) if text.isdecimal() else None

    return value


COLLECTOR = Collector(
    name="pgbouncer_server",
    summary="Version and settings of a PgBouncer, and what of them changes.",
    kind=TargetKind.PGBOUNCER,
    lane=LaneKind.SERVER,
    interval_s=60,
    timeout_s=5,
    queries=(VERSION, CONFIG),
    read=read,
    journal=_journal,
    families=(
        Family(
            name="pgbouncer_default_pool_size",
            help="Server connections that a pool may have where its database does not say otherwise.",
            rows=lambda reading: (reading,),
            value=_limit("default_pool_size"),
        ),
    ),
)
