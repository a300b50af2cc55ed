"""`pgvigil doctor` as its users run it, and as a value."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from daemon.checking.doctor import Examination
from daemon.clock import Now, system_now
from daemon.doctor.checks import Checked
from daemon.settings import load
from pgvigil.problems import Problem
from pgvigil.scratch.server import ScratchServer
from tests.support import throwaway
from tests.support.daemons import ROOT

CONSOLE = '[sinks.here]\nkind = "console"\n'


def run(server: ScratchServer, *statements: str) -> None:
    """As superuser, several statements to a line as well."""
    with psycopg.connect(server.dsn(), autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        for statement in statements:
            for part in statement.split("; "):
                connection.execute(part)


@dataclass(frozen=True, slots=True)
class Found:
    """What one look found."""

    checks: tuple[Checked, ...]

    @property
    def problems(self) -> dict[str, Problem]:
        """By slug; of several with one slug the last."""
        return {problem.slug: problem for each in self.checks for problem in each.problems}

    @property
    def unseen(self) -> dict[str, str]:
        """What could not be looked at, and why."""
        return {each.check: each.why_not for each in self.checks if each.why_not}


@dataclass(frozen=True, slots=True)
class Doctor:
    """Writes configurations in `directory`, and has them looked at."""

    directory: Path

    def write(self, dsn: str, *databases: str, more: str = "", head: str = "") -> Path:
        """One target, `shop`, and `more`; `head` are further keys of [daemon]."""
        file = self.directory / "pgvigil.toml"
        store = f'[daemon]\nlisten = "127.0.0.1:0"\nstore = "sqlite:///{self.directory}/pgvigil.db"\n{head}'
        which = json.dumps(list(databases) or ["*"])
        target = f'[[targets]]\nname = "shop"\ndsn = {json.dumps(dsn)}\ndatabases = {which}\n'
        file.write_text(store + target + more + throwaway.RULES, encoding="utf-8")
        return file

    def look(self, file: Path, *, own: bool = False, now: Now = system_now) -> Found:
        settings = load(file, {})
        return Found(tuple(Examination(settings, now=now).over(settings.targets, own=own)))

    def run(self, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "daemon", "doctor", "-c", str(file), *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def told(self, file: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code, and what --json prints."""
        ran = self.run(file, "--json", *arguments)
        assert ran.stderr == ""
        answer: dict[str, Any] = json.loads(ran.stdout)
        return ran.returncode, answer
