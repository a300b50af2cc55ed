"""The sections of the configuration that are pgvigil's own; those of plug-ins belong to the plug-ins."""

import errno
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from alerts.people import Person
from daemon.http.tokens import Holder, May
from daemon.settings.types import (
    Address,
    DsnText,
    HostNames,
    ListenAddress,
    PasswordCommandText,
    PasswordFileText,
    StoreUrl,
    Url,
    WebUrl,
)
from pgvigil.model.kind import TargetKind
from pgvigil.postgres import console
from pgvigil.postgres.dsn import Dsn
from pgvigil.units import DurationS, SizeBytes

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$", json_schema_extra={"format": "pgvigil-name"})
]
Patterns = Annotated[
    tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
]
LabelName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]

_NO_TEXT = "not UTF-8 text"


class Section(BaseModel):
    """Unknown keys are errors, values are frozen, and an error never repeats its input."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class DaemonSettings(Section):
    """The daemon itself."""

    listen: ListenAddress = Field(
        Address("127.0.0.1", 9642),
        description="Address of /metrics, /healthz, /readyz, the API and the page.",
    )
    api_token_file: Path | None = Field(
        None,
        description="File with the token that the API and the page ask for. Needed to listen beyond loopback.",
    )
    public_url: WebUrl = Field(Url(""), description="Where people reach the page; links in messages.")
    allowed_hosts: HostNames = Field(
        (),
        description="Names that API and page answer to, besides addresses, localhost and the host of public_url.",
    )
    store: StoreUrl = Field(
        Url("sqlite:////var/lib/pgvigil/pgvigil.db"),
        description="Where incidents and their history are kept.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description='"auto" is console on a terminal and JSON elsewhere.'
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged at least."
    )
    digest_after_s: DurationS = Field(
        300.0,
        alias="digest_after",
        description="A start after a pause of at least this says what happened in one message; 0s never.",
    )
    storm_at: int = Field(
        10,
        ge=0,
        le=1000,
        description="So many incidents that begin within storm_within are one message of a destination; 0 never.",
    )
    storm_within_s: DurationS = Field(
        60.0, alias="storm_within", ge=1, le=600, description="The time in which they are counted."
    )
    storm_quiet_s: DurationS = Field(
        300.0,
        alias="storm_quiet",
        ge=1,
        le=3600,
        description="With fewer than two incidents beginning in it a storm is over, and what still fires is told by itself.",
    )
    heartbeat_url: WebUrl = Field(
        Url(""),
        description="A dead man's switch that gets a POST while pgvigil can see and tell; it raises the alarm without.",
    )
    heartbeat_every_s: DurationS = Field(
        60.0, alias="heartbeat_every", ge=10, le=3600, description="How often it gets one."
    )
    sink_failing_after_s: DurationS = Field(
        120.0,
        alias="sink_failing_after",
        ge=10,
        description="How long a sink may be out of reach before that is an incident, told through the other sinks.",
    )
    workers: int = Field(16, ge=1, le=256, description="Threads that poll targets that answer.")
    spare_workers: int = Field(
        64, ge=1, le=1024, description="Threads for targets that connect slowly or do not answer."
    )

    def api_token(self) -> str:
        """The token that API and page ask for, or "" where they ask for none. Raises OSError."""
        file = self.api_token_file
        try:
            return "" if file is None else file.read_text(encoding="utf-8").strip()
        except UnicodeDecodeError:
            raise OSError(errno.EILSEQ, _NO_TEXT, str(file)) from None

    @model_validator(mode="after")
    def _token_is_text(self) -> Self:
        try:
            self.api_token()
        except OSError as error:
            if error.errno == errno.EILSEQ:  # the rest is told of every file
                raise ValueError(f"api_token_file cannot be read: {_NO_TEXT}") from None
        return self


class MetricsSettings(Section):
    """What Prometheus and Grafana see."""

    grafana_url: WebUrl = Field(Url(""), description="Grafana's address; linked from the page.")
    push_url: WebUrl = Field(
        Url(""), description="A Pushgateway, for networks that Prometheus cannot reach into."
    )
    top_k: int = Field(
        20, ge=0, le=200, description="Statements per target with series of their own; the rest is `other`."
    )


class RetentionSettings(Section):
    """How long the store remembers."""

    incidents_s: DurationS = Field(
        90 * 86_400.0,
        alias="incidents",
        ge=86_400,
        description="Resolved incidents with their history; at most 20,000 of them in any case.",
    )
    changes_s: DurationS = Field(
        90 * 86_400.0,
        alias="changes",
        ge=86_400,
        description="What changed in settings, roles and the like; at most 2,000 changes of a target in any case.",
    )
    samples_s: DurationS = Field(
        7 * 86_400.0,
        alias="samples",
        ge=0,
        description="Readings, for `pgvigil rules backtest`; 0s keeps none.",
    )
    samples_size_bytes: SizeBytes = Field(
        64 * 1024**2,
        alias="samples_size",
        ge=0,
        description="How much of the store these readings may take; the oldest give way.",
    )


class TargetSettings(Section):
    """One PostgreSQL server, or one PgBouncer, to watch."""

    name: Name = Field(
        description="The target's name in messages, metrics and this file.", examples=["orders-prod"]
    )
    kind: TargetKind = Field(
        TargetKind.POSTGRES, description="What answers there: a server, or the admin console of a PgBouncer."
    )
    dsn: DsnText = Field(
        description="libpq connection string or URL; any database of the server will do.",
        examples=["host=db1 dbname=postgres user=pgvigil"],
    )
    password_file: PasswordFileText | None = Field(
        None, description="File whose first line is the password; read again at each connect."
    )
    password_command: PasswordCommandText | None = Field(
        None,
        repr=False,
        examples=["pass show pgvigil"],
        description="Command whose first line of output is the password; run at each connect, without a shell.",
    )
    databases: tuple[str, ...] = Field(
        ("*",), min_length=1, description="Names or patterns of the databases to look into."
    )
    exclude_databases: tuple[str, ...] = Field((), description="Names or patterns of databases to leave out.")
    labels: Mapping[LabelName, str] = Field(
        default_factory=dict,
        examples=[{"env": "prod", "team": "payments"}],
        description="Shown in messages; routes and overrides match on them.",
    )
    disk_size_bytes: SizeBytes | None = Field(
        None,
        alias="disk_size",
        gt=0,
        examples=["500GB"],
        description="Size of the volume that holds the server's data: SQL cannot tell it, forecasts need it.",
    )
    marks: tuple[Literal["comment", "session"], ...] = Field(
        (),
        description='What in the target may say `pgvigil:maintenance`: a "comment" on a database, a "session" by its name.',
    )
    mark_roles: tuple[str, ...] = Field(
        (),
        examples=[["dba", "deploy_*"]],
        description="Whose marks count: names or patterns of roles; for a comment the owner of the database.",
    )
    mark_most_s: DurationS = Field(
        14_400.0,
        alias="mark_most",
        ge=60,
        le=86_400,
        description="How long one mark keeps the target quiet at most; then it is forgotten, and is said to be.",
    )
    enabled: bool = Field(True, description="false keeps the section and watches nothing.")

    @model_validator(mode="after")
    def _one_password(self) -> "TargetSettings":
        if self.password_file is not None and self.password_command is not None:
            raise ValueError("password_file and password_command exclude each other")
        return self

    @model_validator(mode="after")
    def _marks_are_somebodys(self) -> "TargetSettings":
        if self.marks and not self.mark_roles:
            raise ValueError('marks: whose? name them in mark_roles; ["*"] is everybody who can connect')
        return self

    @model_validator(mode="after")
    def _fits_a_console(self) -> "TargetSettings":
        if self.kind is not TargetKind.PGBOUNCER:
            return self
        if self.dsn.database not in (None, console.DATABASE):
            raise ValueError(
                f"the dsn of a PgBouncer leads to its admin console: write dbname={console.DATABASE}"
            )
        given = {"databases", "exclude_databases", "disk_size_bytes", "marks"} & self.model_fields_set
        if given:
            raise ValueError(f"{' and '.join(sorted(given))} can be said of a PostgreSQL server only")
        return self

    @property
    def server(self) -> Dsn:
        """The connection string with the way to its password."""
        return replace(self.dsn, password=self.password_file or self.password_command)

    def wants_database(self, database: str) -> bool:
        """Whether `database` is to be looked into: some pattern names it and none leaves it out."""
        return _named(database, self.databases) and not _named(database, self.exclude_databases)

    def marked_by(self, role: str) -> bool:
        """Whether what this role says of maintenance counts."""
        return _named(role, self.mark_roles)

    def selected_by(self, selector: str) -> bool:
        """Whether an override's selector means this target: a glob of names, or `label=glob`."""
        label, equals, pattern = selector.partition("=")
        if equals:
            return label in self.labels and fnmatchcase(self.labels[label], pattern)
        return fnmatchcase(self.name, selector)


def _named(database: str, patterns: Iterable[str]) -> bool:
    """By a pattern, or literally: a database may have brackets and stars in its name."""
    return any(pattern == database or fnmatchcase(database, pattern) for pattern in patterns)


class TokenSettings(Section):
    """A token of one person or program; it is shown as `Authorization: Bearer TOKEN`."""

    name: Name = Field(description="Who holds it: whoever acts with it is called so.", examples=["ana"])
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="The token's hash; `pgvigil token new NAME` makes a token and prints this.",
        examples=["0" * 64],
    )
    may: tuple[May, ...] = Field(
        (May.READ,),
        min_length=1,
        description='"read" shows API and page, "act" acknowledges incidents, "silence" silences, "mark" sends markers.',
    )

    def holder(self) -> Holder:
        return Holder(self.name, self.sha256, frozenset(self.may))


class PersonSettings(Section):
    """Somebody who presses buttons in Slack. With nobody named everybody may act; see the guide to Slack."""

    name: Name = Field(description="Whoever acts is called so.", examples=["ana"])
    slack: Patterns = Field(
        min_length=1, description="Slack's id of the person, or a list of them.", examples=["U0123456"]
    )
    may: tuple[Literal["act", "silence"], ...] = Field(
        ("act",), description='"act" acknowledges incidents, "silence" silences.'
    )

    def person(self) -> Person:
        return Person(self.name, frozenset(self.slack), frozenset(self.may))


class CollectorSettings(Section):
    """How often one collector reads; the default interval is the collector's own."""

    enabled: bool = Field(True, description="Whether the collector runs at all.")
    interval_s: DurationS = Field(alias="interval", ge=1, le=86400, description="How often it reads.")
