"""A webhook: each thing worth hearing as one signed JSON object, for programs of your own."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import Field, field_validator, model_validator

from alerts.render import view
from alerts.sinks._account import account, fitted, identity, page_of
from alerts.sinks._blind import Blind
from alerts.sinks._http import HttpClient, HttpParams, checked_url
from alerts.sinks._secret import SecretFile, once_more
from pgvigil.model.delivery import Act, ActKind, Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.incident import Incident, State
from pgvigil.model.moment import Moment
from pgvigil.plugins import Sink, SinkKind
from pgvigil.text import one_line

VERSION = "1"  # of the object and of what is signed
_MOST_BYTES = 1_000_000


class WebhookParams(HttpParams):
    url: str = Field("", description="Where to POST, when there is no secret in it.")
    url_file: Path | None = Field(None, description="File with the URL instead, when there is one.")
    secret_file: Path | None = Field(
        None, description="File with the key that signs each request (HMAC-SHA256)."
    )
    authorization_file: Path | None = Field(
        None, description='File with the Authorization header, such as "Bearer ...".'
    )
    updates: bool = Field(
        False, description="Also send what is not worth hearing: new figures, acknowledgements, marks."
    )
    template_file: Path | None = Field(
        None, description="File with a Jinja2 template of the body, instead of the object."
    )
    content_type: str = Field(
        "application/json",
        pattern=r"^[a-z]+/[A-Za-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?$",
        description="Content-Type of the body.",
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        return checked_url(value) if value else value

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if bool(self.url) == (self.url_file is not None):
            raise ValueError("give exactly one of url and url_file")
        if self.template_file is not None:
            tried(template_from(self.template_file))
        return self


def template_from(path: Path) -> Template:
    """The template, in a sandbox where an unknown name is an error; raises ValueError with its line.

    Nothing is escaped: in JSON every value goes through `tojson`.
    """
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    try:
        return environment.from_string(path.read_text(encoding="utf-8"))
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ValueError(f"template_file, line {line}: {one_line(str(error))}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(f"template_file cannot be read: {reason}") from None


def tried(template: Template) -> None:
    """Raises ValueError when it cannot be rendered from a message that has everything."""
    try:
        template.render(_SAMPLE)
    except Exception as error:  # noqa: BLE001 - a template calls what it likes
        raise ValueError(f"template_file fails: {_reason(error)}") from None


class _Whatever(dict[str, str]):
    """Has every key: which figures and labels there are differs from incident to incident."""

    def __missing__(self, key: str) -> str:
        return f"<{key}>"


_SAMPLE: Mapping[str, Any] = {
    "version": int(VERSION),
    "event": "fired",
    "incident_version": 1,
    "idempotency_key": "pgvigil-0123456789abcdef-INC-1-post",
    "possible_duplicate_of": None,
    "page": "https://pgvigil.example/incidents/INC-1",
    "header": "a header",
    "incident": {
        **dict.fromkeys(("subject", "title", "summary", "impact", "cause"), "some text"),
        "name": "INC-1",
        "rule": "blocking_chain",
        "target": "shop",
        "database": "shop",
        "state": "firing",
        "severity": "critical",
        "peak": "critical",
        "marks": ["acknowledged"],
        "labels": _Whatever(team="payments"),
        "since": "2026-01-01T00:00:00+00:00",
        "evaluated_at": "2026-01-01T00:00:00+00:00",
        "resolved_at": None,
        "value": 1.0,
        "figures": _Whatever({"Longest wait": "4m12s"}),
        "evidence": [{"title": "a title", "text": "a text"}],
        "steps": [{"text": "a step", "sql": "SELECT 1"}],
        "notes": ["a note"],
    },
}


def _reason(error: Exception) -> str:
    return f"{type(error).__name__} ({one_line(str(error))})"


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of the header Pgvigil-Signature: HMAC-SHA256 of `timestamp.body`, in hex."""
    signed = timestamp.encode() + b"." + body
    return f"v{VERSION}={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


class WebhookSink(Blind):
    """Handles only say that something was sent."""

    def __init__(self, params: WebhookParams, public_url: str, now: Callable[[], Moment]) -> None:
        self.can_edit = params.updates
        self._url = params.url
        self._url_file = None if params.url_file is None else SecretFile(params.url_file)
        self._secret = None if params.secret_file is None else SecretFile(params.secret_file)
        self._authorization = (
            None if params.authorization_file is None else SecretFile(params.authorization_file)
        )
        self._template = None if params.template_file is None else template_from(params.template_file)
        self._content_type = params.content_type
        self._public_url = public_url
        self._now = now
        self._http = HttpClient("the webhook", params.timeout, params.ca_file)

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        """See `Sink.perform`. The receiver knows a repeated request by its Idempotency-Key."""
        key = f"{identity(incident)}-{act.label}"
        shown = view(incident, delivery, told=act.told, possible_duplicate_of=possible_duplicate_of)

        sent_at = possible_duplicate_of

        def message(block_chars: int) -> dict[str, Any]:
            return {
                "version": int(VERSION),
                "event": event_of(act, incident),
                "incident_version": act.version,
                "idempotency_key": key,
                "possible_duplicate_of": None if sent_at is None else sent_at.isoformat(),
                "page": page_of(incident, self._public_url),
                "header": shown.header,
                "incident": account(incident, shown, block_chars),
            }

        body = self._written(fitted(message, _MOST_BYTES))
        once_more(
            lambda: self._post(body, key, creates=act.creates),
            self._url_file,
            self._secret,
            self._authorization,
        )
        return {"incident": incident.name}

    def _written(self, message: bytes) -> bytes:
        if self._template is None:
            return message
        try:
            return self._template.render(json.loads(message)).encode("utf-8", "replace")
        except Exception as error:  # noqa: BLE001 - a template calls what it likes: it is people's to mend
            words = f"the template fails: {_reason(error)}"
            raise DeliveryError(DeliveryFailure.MISCONFIGURED, words) from None

    def _post(self, body: bytes, key: str, *, creates: bool) -> None:
        timestamp = str(int(self._now().utc.timestamp()))
        headers = {
            "Content-Type": self._content_type,
            "Idempotency-Key": key,
            "Pgvigil-Version": VERSION,
            "Pgvigil-Timestamp": timestamp,
        }
        if self._secret is not None:
            headers["Pgvigil-Signature"] = signature(self._secret.value, timestamp, body)
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.value
        hidden = "" if self._authorization is None else self._authorization.value
        self._http.post(self._address(), body, headers, creates=creates, hidden=hidden)

    def _address(self) -> str:
        try:
            return self._url or checked_url("" if self._url_file is None else self._url_file.value)
        except ValueError as error:
            raise DeliveryError(DeliveryFailure.MISCONFIGURED, f"the URL in url_file {error}") from None


def event_of(act: Act, incident: Incident) -> str:
    """`fired`, `still`, `worse`, `reopened`, `resolved`, or `updated` for what is not worth hearing aloud."""
    if incident.state is State.RESOLVED:
        return "resolved"
    if act.told is not None:
        return act.told.value
    return "updated" if act.kind is ActKind.EDIT else "fired"


def _build(_name: str, params: WebhookParams, public_url: str, now: Callable[[], Moment]) -> Sink:
    return WebhookSink(params, public_url, now)


SINK = SinkKind(
    name="webhook",
    summary="A webhook: signed JSON, or a template of your own, for each thing that is worth hearing.",
    params=WebhookParams,
    build=_build,
    timed=True,
    between_calls_s=0.1,
)
