"""What a finding shows to people: figures, blocks of literal text, a likely cause, next steps."""

from dataclasses import dataclass, field
from enum import StrEnum

from pgvigil.model.series import Point


class BlockKind(StrEnum):
    TREE = "tree"
    SQL = "sql"
    TABLE = "table"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Figure:
    """A named value, already formatted for people ("Longest wait", "4m12s")."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One session of a lock tree, and those who wait for it. `hidden` counts those below it that are not shown.

    `wants` is the lock it waits for, `holds` what it holds of that which others wait for. `running` says whether
    `statement` runs now or was its last.
    """

    name: str
    state: str
    wants: str = ""
    holds: str = ""
    figures: tuple[Figure, ...] = ()
    statement: str = ""
    running: bool = True
    below: tuple["Branch", ...] = ()
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Literal text, shown in a fixed-width font and never interpreted. Text from a database is hostile.

    `tree` is the same as the text, for those who can draw better than with letters.
    """

    kind: BlockKind
    title: str
    text: str
    tree: Branch | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A next step that is safe to read aloud: what to do, and the command to copy where there is one."""

    text: str
    sql: str | None = None

    @property
    def command(self) -> str | None:
        """`sql` as psql takes it: without a semicolon it would wait for more."""
        written = (self.sql or "").rstrip()
        if not written or written.endswith(";"):
            return self.sql
        in_comment = "--" in written.rpartition("\n")[2]
        return f"{written}\n;" if in_comment else f"{written};"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`impact` is one sentence: what suffers, and why we are sure. `cause` is likely, never certain.

    `course` is how the value went since the incident is seen, in a few points: each holds until the next one.
    `share_percent` is how much of the whole (of the server's time) it takes, where that can be told.
    """

    impact: str = ""
    figures: tuple[Figure, ...] = ()
    blocks: tuple[Block, ...] = ()
    cause: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)  # e.g. findings that this incident absorbed
    share_percent: float | None = None
    course: tuple[Point, ...] = ()
