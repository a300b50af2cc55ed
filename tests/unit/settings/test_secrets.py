"""No secret comes out of the configuration: not by repr, not in errors, not through commands, not in logs."""

import json
import re
from pathlib import Path

import pytest
import structlog

from daemon import logs
from daemon.cli import codes, main
from daemon.settings import ConfigErrors, Settings, load
from pgvigil.postgres.passwords import PasswordError
from pgvigil.redact import redact
from tests.support.logs import logging_to_a_pipe
from tests.support.secrets import SECRETS, leaks, plant


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pgvigil.toml"
    path.write_text(plant(tmp_path))
    return path


def everything(settings: Settings) -> list[object]:
    """The settings, and every object that people may print or log by itself."""
    return [
        settings,
        settings.daemon,
        settings.daemon.store,
        settings.metrics,
        settings.metrics.push_url,
        *settings.targets,
        *(target.dsn for target in settings.targets),
        *(target.server for target in settings.targets),
        *(target.server.password for target in settings.targets),
        *settings.sinks.values(),
        *(target.model_dump() for target in settings.targets),
        settings.daemon.model_dump_json(),
        settings.metrics.model_dump_json(),
    ]


def test_the_planted_secrets_are_in_use(file: Path) -> None:
    """Otherwise nothing here could ever fail."""
    file_target, command_target = load(file, {}).targets[2:]
    for target, name in ((file_target, "password file"), (command_target, "password command")):
        password = target.server.password
        assert password is not None
        assert password() == SECRETS[name]
    settings = load(file, {})
    assert SECRETS["store password"] in settings.daemon.store.reveal()
    assert SECRETS["push password"] in settings.metrics.push_url.reveal()
    assert settings.daemon.api_token() == SECRETS["api token"]
    assert settings.targets[0].dsn.parameters()["password"] == SECRETS["dsn password"]
    assert settings.targets[1].dsn.parameters()["password"] == SECRETS["dsn url password"]
    assert leaks(f"x {SECRETS['webhook url']} y") == ["webhook url"]


def test_nothing_shows_them(file: Path) -> None:
    for thing in everything(load(file, {})):
        assert leaks(f"{thing!r} {thing!s}") == []


def breakages() -> list[tuple[str, str]]:
    """Ways to get the planted configuration wrong, each at or beside a secret."""
    return [
        (r'dsn = "host=db1 ', 'dsn = "host=db1 nonsense '),
        (r"password=Tr0", "passwrd=Tr0"),
        (r'dsn = "postgresql://', 'dsn = "postgresq://'),
        (r"@db2:5432", "@[db2:5432"),
        (r'"(host=db1[^"]*)"', r'["\1"]'),
        (r"\ndsn = (.*postgresql.*)", r"\npasword = \1"),
        (r"dsn = ", "dns = "),
        (r"^password_command = ", "passwrd_command = "),
        (r'"cat", ', '"cat", 5, '),
        (r"store = \"postgresql", 'store = "postgres'),
        (r"store = ", "stor = "),
        (r"push_url = \"http", 'push_url = "ftp'),
        (r"push_url = ", "push_ulr = "),
        (r'token_file = "slack_token"', f'token = "{SECRETS["slack token"]}"'),
        (r'token_file = "slack_token"', f'token_file = "{SECRETS["slack token"]}"'),
        (r'webhook_url_file = "webhook_url"', f'webhook_url = "{SECRETS["webhook url"]}"'),
        (r'webhook_url_file = "webhook_url"', f'webhook_url_file = "{SECRETS["webhook url"]}"'),
        (r'channel = "#db-oncall"', f'channel = ["{SECRETS["slack token"]}"]'),
        (r"\n\[sinks.bot\]", "\n[sinks.bot"),
        (r'@db2:5432/app"', "@db2:5432/app"),
    ]


@pytest.mark.parametrize(("pattern", "replacement"), breakages())
def test_errors_do_not_show_them(
    pattern: str, replacement: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = file.read_text()
    wrong = re.sub(pattern, replacement, right, flags=re.MULTILINE)
    assert wrong != right
    file.write_text(wrong)
    with pytest.raises(ConfigErrors) as caught:
        load(file, {})
    assert leaks(f"{caught.value} {caught.value!r} {caught.value.errors!r}") == []
    for flags in ([], ["--json"]):
        assert main(["--debug", "config", "check", "-c", str(file), *flags]) == codes.SETUP
        assert leaks("".join(capsys.readouterr())) == []


def test_values_of_the_environment_are_not_shown(file: Path) -> None:
    environ = {
        "PGVIGIL_DAEMON__STORE": f"mysql://u:{SECRETS['store password']}@x/y",
        "PGVIGIL_METRICS__PUSH_URL": f"ftp://u:{SECRETS['push password']}@x/y",
    }
    with pytest.raises(ConfigErrors) as caught:
        load(file, environ)
    assert len(caught.value.errors) == 2
    assert leaks(str(caught.value)) == []


def test_commands_do_not_show_them(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["config", "check", "-c", str(file)], ["config", "check", "-c", str(file), "--json"]):
        assert main(command) == codes.OK
        assert leaks("".join(capsys.readouterr())) == []


@pytest.mark.parametrize(
    "script", ['echo "$0" >&2; exit 3', 'echo "$0"; exit 1', 'echo; echo "$0"', 'kill -9 $$; echo "$0"']
)
def test_a_failing_password_command_does_not_repeat_what_it_wrote(script: str, file: Path) -> None:
    secret = SECRETS["password command"]
    file.write_text(
        f'[[targets]]\nname = "one"\ndsn = "host=a"\npassword_command = {json.dumps(["sh", "-c", script, secret])}\n'
    )
    (target,) = load(file, {}).targets
    password = target.server.password
    assert password is not None
    with pytest.raises(PasswordError) as caught:
        password()
    assert leaks(f"{caught.value} {target!r} {target.server!r}") == []


def test_logs_do_not_show_them(file: Path) -> None:
    """Even when someone logs the wrong thing: by name, by shape, in a nest, or in a traceback."""
    settings = load(file, {})
    text = "\n".join(
        redact(form)
        for form in (
            file.read_text(),
            f"Authorization: Bearer {SECRETS['api token']}",
            f"posting to {SECRETS['webhook url']} failed",
            f"{{'token': '{SECRETS['slack token']}'}}",
        )
    )
    assert leaks(text) == []
    event = {
        "settings": settings,
        "targets": settings.targets,
        "token": SECRETS["api token"],
        "x": [{"password": "p"}],
    }
    assert leaks(str(logs.clean(None, "info", dict(event)))) == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_on_its_way_out_is_clean(form: logs.Form, file: Path) -> None:
    with logging_to_a_pipe(form) as lines:
        structlog.get_logger("daemon.test").error(
            "job_failed",
            dsn=f"password={SECRETS['dsn password']}",
            api_token=SECRETS["api token"],
            exc_info=ValueError(file.read_text()),
        )
        text = "\n".join(lines())
    assert "job_failed" in text
    assert "ValueError" in text
    assert leaks(text) == []
