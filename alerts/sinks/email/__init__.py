"""E-mail: one thread per incident, in text and HTML."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from alerts.sinks._http import trust
from alerts.sinks._secret import SecretFile
from alerts.sinks.email.sink import EmailSink
from alerts.sinks.email.smtp import Account, Smtp
from pgvigil.model.moment import Moment
from pgvigil.plugins import Params, Sink, SinkKind
from pgvigil.units import DurationS

_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


class EmailParams(Params):
    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$", description="The mail server to hand mails to.")
    port: int | None = Field(
        None, ge=1, le=65535, description="587 with starttls, 465 with tls, 25 with none when not given."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls and tls check the certificate; none is for a server on this machine.",
    )
    username: str = Field("", description="To log in with; empty where the server asks for no login.")
    password_file: Path | None = Field(None, description="File with the password of `username`.")
    sender: str = Field(description="The address that mails come from.")
    recipients: tuple[str, ...] = Field(min_length=1, max_length=50, description="Who gets them.")
    ca_file: Path | None = Field(
        None, description="File with the certificates to trust (PEM), instead of the system's."
    )
    timeout: DurationS = Field(20.0, description="How long to wait at each step of the conversation.")

    @field_validator("sender", "recipients")
    @classmethod
    def _are_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for each in (value,) if isinstance(value, str) else value:
            if not _ADDRESS.fullmatch(each):
                raise ValueError(f'{each!r} is not a plain address such as "dba@example.org"')
        return value

    @model_validator(mode="after")
    def _safe_login(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file belong together")
        if self.username and self.security == "none":
            raise ValueError('a password is not sent without TLS; use security = "starttls" or "tls"')
        return self


def _build(_name: str, params: EmailParams, public_url: str, now: Callable[[], Moment]) -> Sink:
    smtp = Smtp(
        params.host,
        params.port or _PORTS[params.security],
        params.security,
        trust(params.ca_file),
        params.timeout,
        None if params.password_file is None else Account(params.username, SecretFile(params.password_file)),
    )
    return EmailSink(smtp, params.sender, params.recipients, public_url, now)


SINK = SinkKind(
    name="email",
    summary="E-mail: what is worth hearing, one thread per incident.",
    params=EmailParams,
    build=_build,
    timed=True,
)
