"""`pgvigil check` as its users run it, and one pass as a value."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.checking.passes import Pass
from daemon.checking.result import Checked
from daemon.settings import load
from pgvigil.postgres.limits import LIMITS, Limits
from tests.support import throwaway
from tests.support.daemons import ROOT


@dataclass(frozen=True, slots=True)
class Checks:
    """Writes a configuration of one target, `shop`, in `directory`."""

    directory: Path

    def write(self, dsn: str, *databases: str, more: str = "") -> Path:
        file = self.directory / "pgvigil.toml"
        which = json.dumps(list(databases) or ["*"])
        head = f'[[targets]]\nname = "shop"\ndsn = {json.dumps(dsn)}\ndatabases = {which}\n'
        file.write_text(head + more + throwaway.RULES, encoding="utf-8")
        return file

    def run(self, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "daemon", "check", "-c", str(file), *arguments],
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def look(
        self,
        file: Path,
        *,
        between: Callable[[], Any] | None = None,
        limits: Limits = LIMITS,
    ) -> Checked:
        """One pass over the target; `between` happens between its two readings of the server."""
        settings = load(file, {})
        sample_s = 0.0 if between is None else 10.0
        one = Pass(settings, sample_s=sample_s, limits=limits, wait=lambda _s: between and between())
        (checked,) = one.over(settings.targets)
        return checked
