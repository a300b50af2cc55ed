"""A mail about an incident or a digest: headers that thread it, text, and the same as HTML.

Text from a database is in no header but the subject, which is one printable line, and nothing of it is markup.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape

from alerts.render import View, fit_block
from alerts.render_digest import DigestView
from alerts.sinks.console import as_text
from pgvigil.text import one_line, printable

_POLICY = SMTP.clone(cte_type="7bit")  # whatever the server can do
_SUBJECT_CHARS = 200
_LITERAL_LIMIT = 8_000
_PRE = "background:#f4f4f4;padding:8px;overflow-x:auto;font-family:monospace;white-space:pre"


def mail(
    *,
    sender: str,
    recipients: Sequence[str],
    subject: str,
    text: str,
    html: str,
    at: datetime,
    message_id: str,
    under: str = "",
) -> bytes:
    """As it goes over the wire; `under` is the Message-ID that it answers."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = one_line(subject, _SUBJECT_CHARS)
    message["Date"] = format_datetime(at)
    message["Message-ID"] = message_id
    if under:
        message["In-Reply-To"] = under
        message["References"] = under
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies (RFC 3834)
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    return message.as_bytes()


def incident_text(shown: View, page: str) -> str:
    return as_text(shown) + (f"  {page}\n" if page else "")


def incident_html(shown: View, page: str) -> str:
    return _document(_incident(shown, page))


def digest_html(shown: DigestView) -> str:
    return _document(_digest(shown))


def _document(parts: Iterator[str]) -> str:
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html><body style="font-family:sans-serif">\n{body}\n</body></html>\n'


def _incident(shown: View, page: str) -> Iterator[str]:
    yield f"<h3>{_text(shown.header)}</h3>"
    yield from (f"<p>{_text(line)}</p>" for line in (shown.lead, shown.impact) if line)
    if shown.figures:
        rows = (f"<tr><td>{_text(each.name)}</td><td>{_text(each.value)}</td></tr>" for each in shown.figures)
        yield f"<table>{''.join(rows)}</table>"
    for block in shown.blocks:
        yield f"<p><b>{_text(block.title)}</b></p>{_pre(block.text)}"
    if shown.cause:
        yield f"<p><b>Likely cause:</b> {_text(shown.cause)}</p>"
    if shown.steps:
        steps = (f"<li>{_text(each.text)}{_pre(each.sql) if each.sql else ''}</li>" for each in shown.steps)
        yield f"<ol>{''.join(steps)}</ol>"
    yield from (f"<p>{_text(line)}</p>" for line in (*shown.notes, *shown.context))
    link = f'<br><a href="{_text(page)}">{_text(page)}</a>' if page else ""
    yield f"<p><small>{_text(shown.footer)}{link}</small></p>"


def _digest(shown: DigestView) -> Iterator[str]:
    yield f"<h3>{_text(shown.header)}</h3><p>{_text(shown.lead)}</p>"
    for section in shown.sections:
        lines = (f"<li>{_text(f'{each.symbol} {each.name} {each.text}')}</li>" for each in section.lines)
        yield f"<p><b>{_text(section.title)}</b></p><ul>{''.join(lines)}</ul><p>{_text(section.more)}</p>"
    yield from (f"<p><small>{_text(line)}</small></p>" for line in (*shown.context, shown.footer))


def _text(text: str) -> str:
    return escape(printable(text))


def _pre(text: str) -> str:
    return f'<pre style="{_PRE}">{escape(fit_block(text, _LITERAL_LIMIT))}</pre>'
