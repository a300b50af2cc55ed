"""Configurations that differ in one thing, and what a server shows of our connections."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.servers import Database

NOT_VALID = """
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id int PRIMARY KEY, customer int);
ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (customer) REFERENCES customers NOT VALID;
"""
QUICK = """
[collectors.availability]
interval = "1s"
[collectors.activity]
interval = "1s"
[collectors.statements]
interval = "1s"
[rules.target_down]
for = "0s"
"""


@dataclass
class Config:
    """`targets` and `sinks` by name, each with the lines of its section; `rules` and `more` as they are."""

    targets: dict[str, str] = field(default_factory=dict)
    sinks: dict[str, str] = field(default_factory=dict)
    constraints: str = 'interval = "1s"'
    not_valid: str = 'for = "0s"'
    daemon: str = ""
    more: str = ""

    def text(self) -> str:
        """What follows the first lines of the [daemon] section."""
        return "\n".join(
            [
                self.daemon,
                *(f"[[targets]]\nname = {json.dumps(name)}\n{lines}" for name, lines in self.targets.items()),
                f"{QUICK}\n[collectors.constraints]\n{self.constraints}",
                f"[rules.constraint_not_valid]\n{self.not_valid}",
                *(f"[sinks.{name}]\n{lines}" for name, lines in self.sinks.items()),
                self.more,
            ]
        )


def watching(database: Database, more: str = "", **parameters: str) -> str:
    """The lines of a target that looks into this database alone."""
    return (
        f"dsn = {json.dumps(database.dsn(**parameters))}\ndatabases = [{json.dumps(database.name)}]\n{more}"
    )


def ours(database: Database) -> Mapping[int, str]:
    """When each of our connections to the database began, by the process that serves it."""
    rows = database.execute(
        "SELECT pid, backend_start::text FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'pgvigil'"
    )
    return dict(rows)
