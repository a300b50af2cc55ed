"""The sink: mails cannot be edited, so what is worth hearing is another mail of the same thread."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from alerts.render import view
from alerts.render_digest import digest_view
from alerts.sinks._account import identity, page_of
from alerts.sinks._blind import Blind
from alerts.sinks.console import digest_text
from alerts.sinks.email.message import digest_html, incident_html, incident_text, mail
from alerts.sinks.email.smtp import Smtp
from pgvigil.model.delivery import Act, Delivery, DeliveryError, DeliveryFailure
from pgvigil.model.digest import Digest
from pgvigil.model.incident import Incident
from pgvigil.model.moment import Moment


class EmailSink(Blind):
    """A handle is the Message-ID of the thread's first mail.

    It follows from the incident alone, so that a thread holds together whatever got lost, and a mail that is
    sent again has the Message-ID that it had.
    """

    digest_lines = 200

    def __init__(
        self,
        smtp: Smtp,
        sender: str,
        recipients: Sequence[str],
        public_url: str,
        now: Callable[[], Moment],
    ) -> None:
        self._smtp = smtp
        self._sender = sender
        self._recipients = recipients
        self._public_url = public_url
        self._now = now

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
            raise DeliveryError(DeliveryFailure.REJECTED, "a mail cannot be edited")
        shown = view(incident, delivery, told=act.told, possible_duplicate_of=possible_duplicate_of)
        page = page_of(incident, self._public_url)
        first = self._id(identity(incident))
        before = delivery.thread.get("message_id", "")
        own = first if act.told is None else self._id(f"{identity(incident)}.{act.label}")
        self._send(
            subject=f"{shown.short}: {shown.title} · {shown.place} ({incident.name})",
            text=incident_text(shown, page),
            html=incident_html(shown, page),
            message_id=own,
            under=before if act.told is None else before or first,
        )
        return {"message_id": first}

    def tell(self, digest: Digest, *, possible_duplicate_of: datetime | None = None) -> Mapping[str, str]:
        """See `Sink.tell`."""
        shown = digest_view(digest, possible_duplicate_of=possible_duplicate_of)
        own = self._id(f"pgvigil-digest-{digest.id}.{digest.part}.{digest.since:%Y%m%d%H%M%S}")
        self._send(
            subject=f"{shown.title}: {shown.lead}",
            text=digest_text(shown),
            html=digest_html(shown),
            message_id=own,
            under="",
        )
        return {"message_id": own}

    def _send(self, *, subject: str, text: str, html: str, message_id: str, under: str) -> None:
        written = mail(
            sender=self._sender,
            recipients=self._recipients,
            subject=subject,
            text=text,
            html=html,
            at=self._now().utc,
            message_id=message_id,
            under=under,
        )
        self._smtp.send(self._sender, self._recipients, written)

    def _id(self, name: str) -> str:
        return f"<{name}@{self._sender.rpartition('@')[2]}>"
