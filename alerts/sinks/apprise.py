"""Apprise: one library for Teams, Discord, Telegram, Mattermost and a hundred others that only take a text.

It is asked for when a sink needs it, and not before: it is an extra (`pgvigil[apprise]`), and costs a quarter of a
second and some 35 MB. It tells that a call failed and, in words, with which status; what has no status may have arrived.

Its own limit of a call gives up waiting, and leaves a thread behind that goes on for as long as the other side likes, also
when pgvigil wants to end. So the connections of a call are cut at the end of its time, which ends that thread.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path
from socket import socket
from typing import Any

from pydantic import Field

from alerts.render import fit_block, view
from alerts.render_digest import digest_view
from alerts.sinks._account import page_of
from alerts.sinks._blind import Blind
from alerts.sinks._deadline import Deadline
from alerts.sinks._http import Answer, refusal
from alerts.sinks._secret import SecretFile, once_more
from alerts.sinks.console import as_text, digest_text
from pgvigil.model.delivery import Act, Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident, State
from pgvigil.model.level import Level
from pgvigil.plugins import Params, Sink, SinkKind
from pgvigil.problems import Problem, SetupError
from pgvigil.text import one_line
from pgvigil.units import DurationS

_WHO = "the service"
_TITLE_CHARS = 150
_MOST_CHARS = 8_000
_LEAST_CHARS = 100  # of a body, in services for short messages
_GRACE_S = 2.0  # for what was cut to end
_CALL: ContextVar[Deadline | None] = ContextVar("call", default=None)  # Apprise hands it on to its threads
_WATCHING = "pgvigil_watches"
_STATUS = re.compile(r"error\s*[=:]\s*([1-5]\d\d)\b")
_MENTION = re.compile(r"@(?=\w|&|!)")
_TYPES = {Level.CRITICAL: "failure", Level.WARNING: "warning", Level.INFO: "info", Level.HOLD: "info"}


class AppriseParams(Params):
    url_file: Path = Field(description="File with one Apprise URL, such as discord://... or msteams://...")
    timeout: DurationS = Field(20.0, description="How long one message may take in all.")


class AppriseSink(Blind):
    """Each message stands alone: there is no handle."""

    digest_lines = 15

    def __init__(self, name: str, url: SecretFile, timeout_s: float, public_url: str) -> None:
        self._name = name
        self._url = url
        self._timeout_s = timeout_s
        self._public_url = public_url
        service_of(name, url)

    def perform(
        self,
        act: Act,
        incident: Incident,
        delivery: Delivery,
        *,
        possible_duplicate_of: datetime | None = None,
    ) -> Mapping[str, str]:
        """See `Sink.perform`."""
        if not act.creates:
            raise DeliveryError(DeliveryFailure.REJECTED, "what Apprise has sent cannot be edited")
        shown = view(incident, delivery, told=act.told, possible_duplicate_of=possible_duplicate_of)
        over = incident.state is State.RESOLVED
        head, _, text = as_text(shown).partition("\n")
        ends = "".join(f"\n{line}" for line in (page_of(incident, self._public_url),) if line)
        self._send(head, text, ends, shown.mention, "success" if over else _TYPES[incident.severity])
        return {}

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        """See `Sink.tell`."""
        shown = digest_view(digest, possible_duplicate_of=possible_duplicate_of)
        head, _, text = digest_text(shown).partition("\n")
        self._send(head, text, "", shown.mention, "info")
        return {}

    def _send(self, head: str, text: str, ends: str, mention: str, kind: str) -> None:
        once_more(lambda: self._once(head, text, ends, mention, kind), self._url)

    def _once(self, head: str, text: str, ends: str, mention: str, kind: str) -> None:
        import apprise  # noqa: PLC0415 - an extra: only who has such a sink needs it

        service = service_of(self._name, self._url)
        title = harmless(one_line(head, _TITLE_CHARS))
        fixed = f"{mention}\n" if mention else ""
        most = min(service.body_maxlen, _MOST_CHARS) - len(title) - len(fixed) - len(ends)
        body = fixed + harmless(fit_block(text, max(most, _LEAST_CHARS))) + ends
        sender = apprise.Apprise(service)
        limit_s = self._timeout_s + _GRACE_S
        with Deadline(self._timeout_s) as deadline, _cut_with(deadline):
            told = sender.notify(
                body=body, title=title, notify_type=kind, body_format="text", timeout=limit_s
            )
        if not told:
            raise failure(str(entry.message) for entry in told.logs())


@contextmanager
def _cut_with(deadline: Deadline) -> Iterator[None]:
    """The connections that are made by this call, on whatever thread, end with it."""
    before = _CALL.set(deadline)
    try:
        yield
    finally:
        _CALL.reset(before)


def _watch_connections() -> None:
    """Apprise's services call requests, which has no place for a connection of ours: all are made in this one function
    of urllib3. Calls that are not ours go through it as before.
    """
    from urllib3.util import connection  # noqa: PLC0415 - comes with the extra

    plain = connection.create_connection
    if not getattr(plain, _WATCHING, False):

        def create_connection(*where: Any, **how: Any) -> socket:
            made: socket = plain(*where, **how)
            deadline = _CALL.get()
            return made if deadline is None else deadline.watch(made)

        setattr(create_connection, _WATCHING, True)
        connection.create_connection = create_connection


def harmless(text: str) -> str:
    """Text that calls nobody and hides no link, in services that read Markdown: there is no escape for all of them."""
    return _MENTION.sub("\uff20", text).replace("](", "] (")


def failure(words: Iterable[str]) -> DeliveryError:
    """What Apprise's words for a failure mean. They may hold a URL with secrets, and are not passed on."""
    found = [int(match[1]) for each in words for match in _STATUS.finditer(each)]
    if found:
        return refusal(_WHO, Answer(found[-1], "", {}), creates=True)
    return DeliveryError(
        DeliveryFailure.AMBIGUOUS, f"no answer from {_WHO}, or none that Apprise understands"
    )


def service_of(name: str, url: SecretFile) -> Any:
    """The service that the URL names, which follows no redirects and keeps nothing on disk. Raises SetupError."""
    try:
        import apprise  # noqa: PLC0415 - an extra: only who has such a sink needs it
    except ImportError:
        raise SetupError(_missing(name)) from None
    _quiet()
    _watch_connections()
    asset = apprise.AppriseAsset(
        app_id="pgvigil", app_desc="pgvigil", http_redirects=False, storage_mode="memory"
    )
    service = apprise.Apprise.instantiate(url.value, asset=asset)
    if service is None:
        raise SetupError(_unknown(name))
    return service


def _quiet() -> None:
    """At debug both log URLs with their secrets. Warnings hold none, and a failure is known by them alone."""
    logging.getLogger("apprise").setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.INFO)


def _missing(name: str) -> Problem:
    return Problem(
        slug="apprise-missing",
        sentence=f"The sink {name} needs Apprise, which is not installed.",
        why="It is an extra: most installations do not need it.",
        fix="Install it beside pgvigil: pip install 'pgvigil[apprise]'.",
    )


def _unknown(name: str) -> Problem:
    return Problem(
        slug="apprise-url",
        sentence=f"The sink {name} has a URL that Apprise does not understand.",
        why="Nothing can be sent.",
        fix="Write the URL as Apprise's documentation of the service says, alone into the file.",
    )


def _build(name: str, params: AppriseParams, public_url: str) -> Sink:
    return AppriseSink(name, SecretFile(params.url_file), params.timeout, public_url)


SINK = SinkKind(
    name="apprise",
    summary="Apprise: Teams, Discord, Telegram, Mattermost and many others, as plain texts.",
    params=AppriseParams,
    build=_build,
)
