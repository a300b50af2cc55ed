"""What answers behind a target's connection string."""

from enum import StrEnum


class TargetKind(StrEnum):
    """A collector is for one kind; so are the rules that judge what it reads."""

    POSTGRES = "postgres"
    PGBOUNCER = "pgbouncer"
