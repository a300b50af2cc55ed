"""From a digest to what Slack is sent, in the same three tiers as an incident's message; pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from alerts.render_digest import DigestView, LineView, SectionView, digest_view
from alerts.sinks.slack import blocks as b
from alerts.sinks.slack.message import Tier
from alerts.sinks.slack.text import escape, fit, mrkdwn, units
from pgvigil.model.digest import Digest

EVENT_TYPE = "pgvigil_digest"
LINES = 40  # of at most about 270 characters: 11,000 for all blocks, of which Slack refuses 13,200
_TEXT_LIMIT = 200
_URL_LIMIT = 500


def render_digest(
    digest: Digest,
    *,
    public_url: str = "",
    workspace_url: str = "",
    tier: Tier = Tier.FULL,
    possible_duplicate_of: datetime | None = None,
) -> dict[str, Any]:
    """The arguments `text`, `blocks` and `metadata` of chat.postMessage.

    An incident's id leads to its own message where there is one (`workspace_url` knows), or to the page.
    """
    shown = digest_view(digest, possible_duplicate_of=possible_duplicate_of)
    links = _Links(public_url, workspace_url)
    made = {"metadata": digest_metadata(digest), "blocks": []}
    if tier is Tier.TEXT:
        return made | {"text": _text(shown, links)}
    body = _full(shown, links) if tier is Tier.FULL else _simple(shown)
    return made | {"text": mrkdwn(shown.notification, 300), "blocks": body}


def digest_metadata(digest: Digest) -> dict[str, Any]:
    """What reconciliation looks for."""
    return {"event_type": EVENT_TYPE, "event_payload": {"digest": digest.id, "key": digest.key}}


class _Links:
    def __init__(self, public_url: str, workspace_url: str) -> None:
        self._page = public_url.rstrip("/")
        self._workspace = workspace_url if workspace_url.startswith("https://") else ""

    def of(self, line: LineView) -> str:
        """Where its id leads, or ""."""
        url = self._message(line) or (f"{self._page}/#{line.name}" if self._page else "")
        return url if len(url) < _URL_LIMIT else ""

    def _message(self, line: LineView) -> str:
        channel, ts = line.remote.get("channel"), line.remote.get("ts")
        if not (self._workspace and channel and ts):
            return ""
        url = f"{self._workspace}archives/{channel}/p{ts.replace('.', '')}"
        parent: Mapping[str, str] = line.thread
        return f"{url}?thread_ts={parent['ts']}&cid={channel}" if "ts" in parent else url


def _full(shown: DigestView, links: _Links) -> list[b.Block]:
    lead = b.rich(b.line(*b.mentions(shown.mention), b.bold(fit(shown.lead, 300) or "…")))
    parts = [b.rich(*_section(section, links)) for section in shown.sections]
    return [b.header(fit(shown.header, b.HEADER_LIMIT)), lead, *parts, *_small_print(shown)]


def _section(section: SectionView, links: _Links) -> Iterator[b.Block]:
    yield b.line(b.bold(section.title))
    if section.lines:
        yield b.items([_item(line, links) for line in section.lines])
    if section.more:
        yield b.line(b.plain(section.more))


def _item(line: LineView, links: _Links) -> list[b.Block]:
    url = links.of(line)
    name = b.link(url, line.name) if url else b.bold(line.name)
    return [b.plain(f"{line.symbol} "), name, b.plain(f" {fit(line.text, _TEXT_LIMIT)}")]


def _simple(shown: DigestView) -> list[b.Block]:
    """Without links: in a section their addresses count as text."""
    called = b.mention_text(shown.mention)
    lead = b.section(f"{called} *{mrkdwn(shown.lead, 300)}*".lstrip())
    parts = [b.section(text) for section in shown.sections for text in _pages(section)]
    return [b.header(fit(shown.header, b.HEADER_LIMIT)), lead, *parts, *_small_print(shown)]


def _pages(section: SectionView) -> Iterator[str]:
    """Its lines in as many texts as it takes: one holds 3,000 characters."""
    page = ""
    for text in _lines(section, _Links("", "")):
        if page and units(page) + units(text) >= b.SECTION_LIMIT - 100:
            yield page
            page = ""
        page = f"{page}\n{text}" if page else text
    yield page


def _lines(section: SectionView, links: _Links) -> Iterator[str]:
    yield f"*{section.title}*"
    for line in section.lines:
        yield f"• {line.symbol} {_linked(line, links)} {mrkdwn(line.text, _TEXT_LIMIT)}"
    if section.more:
        yield section.more


def _linked(line: LineView, links: _Links) -> str:
    url = escape(links.of(line)).replace("|", "%7C")
    return f"<{url}|{line.name}>" if url else line.name


def _small_print(shown: DigestView) -> list[b.Block]:
    return [b.context([mrkdwn(text, 300) for text in (*shown.context, shown.footer)])]


def _text(shown: DigestView, links: _Links) -> str:
    called = b.mention_text(shown.mention)
    head = f"{called} {mrkdwn(shown.header, 200)}: {mrkdwn(shown.lead, 300)}".lstrip()
    lines = [text for section in shown.sections for text in _lines(section, links)]
    return "\n".join([head, *lines, *(mrkdwn(text, 300) for text in (*shown.context, shown.footer))])
