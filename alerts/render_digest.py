"""What a digest says, whatever the sink: words and order, no markup. It may hold hostile text made printable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alerts.render import duplicate, lasted, place_of, symbol_of, title_of
from pgvigil.model.digest import Digest, DigestCause, Line
from pgvigil.model.incident import Incident, State
from pgvigil.text import one_line
from pgvigil.units import format_duration

_LINE_LIMIT = 300  # characters of an incident's summary, or of what is not known of it


@dataclass(frozen=True, slots=True, kw_only=True)
class LineView:
    """`name` is the incident's (INC-7), `remote` and `thread` lead to its own message where it has one."""

    symbol: str
    name: str
    text: str
    remote: Mapping[str, str]
    thread: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SectionView:
    title: str
    lines: tuple[LineView, ...]
    more: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestView:
    """One message. `lead` is the one sentence to read, `footer` is always its last line."""

    symbol: str
    title: str
    lead: str
    sections: tuple[SectionView, ...]
    context: tuple[str, ...]
    footer: str
    mention: str

    @property
    def header(self) -> str:
        return f"{self.symbol} {self.title}"

    @property
    def notification(self) -> str:
        """What a phone shows on its lock screen: at most 150 characters."""
        return one_line(f"{self.title}: {self.lead}", 150)


def digest_view(digest: Digest, *, possible_duplicate_of: datetime | None = None) -> DigestView:
    """What is said, the worst of each section first."""
    counts = ", ".join(f"{section.count} {section.title.lower()}" for section in digest.sections)
    sections = tuple(
        SectionView(
            f"{section.title} ({section.count})",
            tuple(_line(each, digest) for each in section.lines),
            f"… and {section.more} more: pgvigil incidents list" if section.more else "",
        )
        for section in digest.sections
    )
    return DigestView(
        symbol="🌩" if digest.cause is DigestCause.STORM else "📋",
        title=digest.title,
        lead=counts,
        sections=sections,
        context=duplicate(possible_duplicate_of),
        footer=digest.footer,
        mention=digest.mention,
    )


def _line(line: Line, digest: Digest) -> LineView:
    incident = line.incident
    return LineView(
        symbol=symbol_of(incident),
        name=incident.name,
        text=" · ".join(filter(None, _parts(line, incident, digest))),
        remote=line.remote,
        thread=line.thread,
    )


def _parts(line: Line, incident: Incident, digest: Digest) -> tuple[str, ...]:
    head = f"{title_of(incident.rule)} · {place_of(incident)}"
    if incident.state is State.RESOLVED:
        return (head, f"lasted {lasted(incident)}, was {_summary(incident)}")
    told = _summary(incident)
    if incident.state is State.UNKNOWN:
        because = one_line(incident.reason[: 4 * _LINE_LIMIT], 100)
        told = f"cannot tell ({because}), was {told}" if because else f"cannot tell, was {told}"
    return (head, line.note, _how_long(incident, digest), told)


def _how_long(incident: Incident, digest: Digest) -> str:
    storm = digest.cause is DigestCause.STORM
    if storm and incident.state is State.FIRING:  # it goes on, and was written last when it changed
        return f"for {format_duration(max((digest.until - incident.pending_since).total_seconds(), 0.0))}"
    if storm:
        return f"for {lasted(incident)}"
    return "not looked at again yet" if incident.evaluated_at < digest.until else f"for {lasted(incident)}"


def _summary(incident: Incident) -> str:
    return one_line(incident.summary[: 4 * _LINE_LIMIT], _LINE_LIMIT)
