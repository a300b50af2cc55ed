"""Set-up problems: a stable slug, a sentence with names in it, and the fix."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that people must change. `slug` is stable, is a metric label, and is an anchor in the docs.

    `fix` is a command to copy (SQL ends with a semicolon) or an imperative; `why` says what it costs to leave it.
    """

    slug: str
    sentence: str
    fix: str
    target: str | None = None
    why: str = ""

    @property
    def docs(self) -> str:
        return f"docs/reference/problems.md#{self.slug}"


class SetupError(Exception):
    """Raised where pgvigil cannot start or go on until people change something. Exit code 64."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(f"{problem.sentence} Fix: {problem.fix}" for problem in problems))
        self.problems = problems
