"""Secrets that can be told anywhere: planted in a configuration, then looked for in whatever comes out."""

import base64
from pathlib import Path
from urllib.parse import quote

SECRETS = {
    "dsn password": "Tr0ub4dor-dsn-5f2e",
    "dsn url password": "p@ss/w0rd-url-91c3",
    "password file": "file-c0rrect-h0rse-77aa",
    "password command": "command-battery-st4ple-3d",
    "slack token": "xoxb-314159265358-2718281828-Zq7LmNoPlAnTeD",
    "webhook url": "https://hooks.slack.com/services/T0PLANTED/B0PLANTED/kR8wPlAnTeD00hook",
    "store password": "st0re-s3cret-0a0a",
    "push password": "pu5h-g4teway-b1b1",
    "api token": "4pi-t0ken-planted-c2c2",
}


def leaks(text: str) -> list[str]:
    """The names of the secrets that `text` holds, as they are, quoted for a URL, or in base64."""
    return [name for name, secret in SECRETS.items() if any(form in text for form in _forms(secret))]


def _forms(secret: str) -> set[str]:
    path = secret.partition("hooks.slack.com/services")[2] or secret  # the host is no secret, the path is
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, path, quote(path, safe=""), encoded}


def plant(directory: Path) -> str:
    """Writes the secret files into `directory`; returns a configuration that uses every secret and is valid."""
    for name in ("password file", "password command", "slack token", "webhook url", "api token"):
        (directory / name.replace(" ", "_")).write_text(SECRETS[name] + "\n")
    command = directory / "password_command"
    return f"""
[daemon]
api_token_file = "api_token"
store = "postgresql://pgvigil:{SECRETS["store password"]}@store/pgvigil"
[metrics]
push_url = "http://pusher:{SECRETS["push password"]}@push.example.com:9091"
[[targets]]
name = "pairs"
dsn = "host=db1 user=pgvigil password={SECRETS["dsn password"]}"
[[targets]]
name = "url"
dsn = "postgresql://pgvigil:{quote(SECRETS["dsn url password"], safe="")}@db2:5432/app"
[[targets]]
name = "file"
dsn = "host=db3 user=pgvigil"
password_file = "password_file"
[[targets]]
name = "command"
dsn = "host=db4 user=pgvigil"
password_command = ["cat", "{command}"]
[sinks.bot]
kind = "slack"
token_file = "slack_token"
channel = "#db-oncall"
[sinks.hook]
kind = "slack"
webhook_url_file = "webhook_url"
"""
