"""The demo's configuration: a real file, with intervals and thresholds short enough to watch."""

import json
from dataclasses import dataclass
from pathlib import Path

CHANNEL = "db-oncall"

# A production server would use the defaults, which are minutes; a demo has one minute in all.
_SHORTENED = """
[collectors.availability]
interval = "1s"
[collectors.activity]
interval = "2s"
[collectors.lock_waits]
interval = "1s"
[collectors.statements]
interval = "2s"
[collectors.constraints]
interval = "2s"

[rules.target_down]
for = "1s"
[rules.collector_stale]
warning = 20
critical = 60
[rules.blocking_chain]
warning = "2s"
critical = "7s"
keep_firing_for = "2s"
[rules.idle_in_transaction]
warning = "4s"
critical = "1m"
[rules.slow_query]
warning = "8ms"
critical = "5s"
clear = "4ms"
for = "2s"
keep_firing_for = "2s"
[rules.constraint_not_valid]
for = "1s"
[rules.invalid_index]
for = "1s"

# The demo's server is thrown away: it is fast instead of safe.
[rules.dangerous_setting]
ignore = ["fsync", "full_page_writes", "synchronous_commit"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the demo's parts are. `directory` holds the file, its secrets and the store."""

    directory: Path
    listen: str
    public_url: str
    target_dsn: str
    slack_url: str


def write(places: Places, *, password: str, slack_token: str) -> Path:
    """The path of the configuration file; its secrets are files beside it, readable by us alone."""
    password_file = _secret(places.directory / "password", password)
    token_file = _secret(places.directory / "slack-token", slack_token)
    text = f"""# Written by `pgvigil demo`.
[daemon]
listen = {_toml(places.listen)}
public_url = {_toml(places.public_url)}
store = {_toml(f"sqlite:///{places.directory}/pgvigil.db")}

[[targets]]
name = "shop-demo"
dsn = {_toml(places.target_dsn)}
password_file = {_toml(password_file)}
databases = ["*"]
labels = {{ env = "demo", team = "shop" }}

[sinks.oncall]
kind = "slack"
token_file = {_toml(token_file)}
channel = {_toml("#" + CHANNEL)}
base_url = {_toml(places.slack_url)}

[[routes]]
match = {{ severity = "critical" }}
sinks = ["oncall"]
mention = "<!subteam^S0000DEMO>"
[[routes]]
sinks = ["oncall"]
{_SHORTENED}"""
    file = places.directory / "pgvigil.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _secret(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text + "\n", encoding="utf-8")
    return file


def _toml(value: str | Path) -> str:
    """A basic string of TOML; JSON's escapes are among TOML's."""
    return json.dumps(str(value))
